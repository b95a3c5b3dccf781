import { defineRailway, image, postgres, preserve, project, service } from 'railway/iac'

// The gateway, the example service and PostgreSQL on Railway: `railway config plan`, `railway config apply`. docs/railway.md

const version = '0.1.0'

export default defineRailway(() => {
  const database = postgres('postgres')

  const auth = service('auth', {
    source: image(`ghcr.io/jinmini/munjigi/auth:${version}`, { autoUpdates: { type: 'patch' } }),
    healthcheck: '/health',
    replicas: 2,
    deploy: { drainingSeconds: 15, restartPolicyType: 'ALWAYS' },
    env: {
      // Railway asks for the health there; the service listens where AUTH_PORT says.
      PORT: '8001',
      AUTH_PORT: '8001',
      AUTH_HOST: '::',
      GATEWAY_URL: 'http://gateway.railway.internal:8080',
      PUBLIC_URL: 'https://www.jinmini.com',
      DATABASE_URL: database.env.DATABASE_URL,
      AUTH_CLIENT_ID: 'auth',
      AUTH_CLIENT_SECRET: preserve(),
    },
  })

  const gateway = service('gateway', {
    source: image(`ghcr.io/jinmini/munjigi/gateway:${version}`, { autoUpdates: { type: 'patch' } }),
    healthcheck: '/readyz',
    replicas: 2,
    // DRAIN_DELAY and DRAIN_TIMEOUT, 15 s, and some air.
    deploy: { overlapSeconds: 10, drainingSeconds: 20, restartPolicyType: 'ALWAYS' },
    domains: [{ domain: 'www.jinmini.com', port: 8080 }],
    env: {
      PORT: '8080',
      HOST: '::',
      PUBLIC_URL: 'https://www.jinmini.com',
      DATABASE_URL: database.env.DATABASE_URL,
      ENCRYPTION_KEYS: preserve(),
      GATEWAY_CLIENTS: preserve(),
      // Both replicas of the service answer to its name.
      DISCOVERY: 'dns',
      AUTH_SERVICE_URL: 'http://auth.railway.internal:8001',
    },
  })

  return project('munjigi', { resources: [database, auth, gateway] })
})
