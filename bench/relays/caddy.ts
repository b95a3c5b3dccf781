import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { programVersion } from '../machine.ts'
import { PREFIX } from '../scenarios.ts'
import type { Relay } from './relay.ts'

export const caddy: Relay = {
  name: 'Caddy',
  setup: 'GOMAXPROCS=1, keep-alive to the origin (its default), access log to a file',
  version: () => programVersion('caddy', ['version'], /v?(\d+\.\d+\.\d+)/),
  launch: ({ port, originPort, directory }) => {
    const config = join(directory, 'Caddyfile')
    writeFileSync(config, caddyfile(port, originPort, directory))
    return {
      command: 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', config],
      env: { GOMAXPROCS: '1', XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
    }
  },
}

const caddyfile = (port: number, originPort: number, directory: string): string => `
{
	admin off
	auto_https off
}
http://127.0.0.1:${port} {
	log {
		output file ${directory}/access.log
	}
	handle_path ${PREFIX}/* {
		reverse_proxy 127.0.0.1:${originPort}
	}
}
`
