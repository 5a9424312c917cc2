import * as z from 'zod';
import type { Route } from './route.ts';

const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });

/** The contract as an OpenAPI 3.1 document, made from the same table that serves the requests. */
export function openApi(routes: readonly Route[], server: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of routes) {
    const names = [...one.path.matchAll(/\{([a-z]+)\}/g)].map((match) => match[1]!);
    const query = one.query === undefined ? {} : ((schemaOf(one.query).properties ?? {}) as Record<string, object>);
    paths[one.path] = {
      ...paths[one.path],
      [one.method.toLowerCase()]: {
        summary: one.summary,
        ...(one.for === 'anyone' ? { security: [] } : {}),
        ...(Array.isArray(one.for) ? { description: `Roles: ${one.for.join(', ')}.` } : {}),
        parameters: [
          ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
          ...Object.entries(query).map(([name, schema]) => ({ name, in: 'query', required: false, schema })),
        ],
        ...(one.bytes === true
          ? {
              requestBody: {
                required: true,
                content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
              },
            }
          : {}),
        ...(one.body === undefined
          ? {}
          : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(one.body) } } } }),
        responses: {
          '200': { description: 'Done' },
          default: {
            description: 'An RFC 9457 problem',
            content: { 'application/problem+json': { schema: { type: 'object' } } },
          },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Bartizan console', version: '1', description: 'Handles only: no name or number passes here.' },
    servers: [{ url: `${server}/api` }],
    components: { securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: 'bartizan_session' } } },
    security: [{ session: [] }],
    paths,
  };
}
