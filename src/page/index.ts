export { type PageFile, readPages } from './files.ts';
export { securityHeaders } from './headers.ts';
