import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { programVersion } from '../machine.ts'
import { PREFIX } from '../scenarios.ts'
import type { Relay } from './relay.ts'

export const haproxy: Relay = {
  name: 'HAProxy',
  setup: 'nbthread 1, keep-alive to the origin, httplog to a file',
  version: () => programVersion('haproxy', ['-v'], /version (\d+\.\d+\.\d+)/),
  launch: ({ port, originPort, directory }) => {
    const config = join(directory, 'haproxy.cfg')
    writeFileSync(config, haproxyConfig(port, originPort))
    return { command: 'haproxy', args: ['-db', '-f', config] }
  },
}

const haproxyConfig = (port: number, originPort: number): string => `
global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 2s
  timeout client 60s
  timeout server 15s
frontend door
  bind 127.0.0.1:${port}
  http-request replace-path ${PREFIX}(/.*) \\1
  default_backend origin
backend origin
  http-reuse always
  server origin 127.0.0.1:${originPort}
`
