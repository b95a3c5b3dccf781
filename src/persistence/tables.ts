import { oauthEntities } from '../oauth/entities.ts'
import { tokenEntities } from '../tokens/entities.ts'
import { migrations } from './migrations/index.ts'

/** Everything that the gateway keeps, in a schema of its own. */
export const gatewayTables = {
  schema: 'munjigi',
  entities: [...tokenEntities, ...oauthEntities],
  migrations,
} as const
