export {
  ENTERPRISE_SCHEMA,
  ERROR_SCHEMA,
  GROUP_SCHEMA,
  LIST_SCHEMA,
  resourceTypes,
  scimSchemas,
  serviceProviderConfig,
  USER_SCHEMA,
} from './documents.ts';
export { sentByPatch } from './echo.ts';
export { invalidValue, ScimRefusal, type ScimType } from './error.ts';
export { parseScimFilter, type ScimFilter } from './filter.ts';
export { type GroupChange, readScimGroup, readScimGroupPatch } from './group.ts';
export { type Attributes, readScimJson } from './json.ts';
export { readScimUser, readScimUserPatch, type UserChange } from './user.ts';
