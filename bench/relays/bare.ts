import { nodeRelay } from './relay.ts'

export const bare = nodeRelay('bare', 'node:http + undici Pool#dispatch, no log', 'undici', 'bare.mjs')
