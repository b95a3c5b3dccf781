import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PREFIX } from '../scenarios.ts'
import { nodeRelay, type Relay } from './relay.ts'

const program = nodeRelay(
  'express-gateway',
  'one pipeline with the proxy policy; its default log',
  'express-gateway',
  'express-gateway.mjs',
)

// It refuses to start without the schemas that `eg gateway create` would have copied.
const models = fileURLToPath(new URL('../node_modules/express-gateway/lib/config/models', import.meta.url))

export const expressGateway: Relay = {
  ...program,
  launch: (setup) => {
    const config = join(setup.directory, 'config')
    mkdirSync(config)
    cpSync(models, join(config, 'models'), { recursive: true })
    writeFileSync(join(config, 'gateway.config.yml'), gatewayConfig(setup.port, setup.originPort))
    writeFileSync(join(config, 'system.config.yml'), systemConfig)
    const launch = program.launch(setup)
    return { ...launch, env: { ...launch.env, EG_CONFIG_DIR: config, EG_DISABLE_CONFIG_WATCH: 'true' } }
  },
}

const gatewayConfig = (port: number, originPort: number): string => `
http:
  port: ${port}
  hostname: 127.0.0.1
apiEndpoints:
  bench:
    host: '*'
    paths: ${PREFIX}/*
serviceEndpoints:
  origin:
    url: http://127.0.0.1:${originPort}
policies: [proxy]
pipelines:
  bench:
    apiEndpoints: [bench]
    policies:
      - proxy:
          - action:
              serviceEndpoint: origin
              stripPath: true
`

const systemConfig = `
db:
  redis:
    emulate: true
    namespace: EG
crypto:
  cipherKey: bench
  algorithm: aes256
  saltRounds: 10
session:
  secret: bench
  resave: false
  saveUninitialized: false
accessTokens:
  timeToExpiry: 7200000
refreshTokens:
  timeToExpiry: 7200000
authorizationCodes:
  timeToExpiry: 300000
`
