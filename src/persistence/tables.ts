import { oauthEntities } from '../oauth/entities.ts'
import { tokenEntities } from '../tokens/entities.ts'
import { migrations } from './migrations/index.ts'
import { rateEntities } from './rate-counts.ts'

/** Everything that the gateway keeps, in a schema of its own. */
export const gatewayTables = {
  schema: 'munjigi',
  entities: [...tokenEntities, ...oauthEntities, ...rateEntities],
  migrations,
} as const
