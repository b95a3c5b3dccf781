import { writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { programVersion } from '../machine.ts'
import { PREFIX } from '../scenarios.ts'
import type { Relay, Setup } from './relay.ts'

export const nginx: Relay = {
  name: 'nginx',
  setup: 'one worker, keep-alive to the origin, access log to a file',
  version: () => programVersion('nginx', ['-v'], /nginx\/(\S+)/),
  launch: (setup) => {
    const config = join(setup.directory, 'nginx.conf')
    writeFileSync(config, nginxConfig(setup))
    return { command: 'nginx', args: ['-p', setup.directory, '-c', config, '-e', 'stderr'] }
  },
}

const nginxConfig = ({ port, originPort, directory }: Setup): string => `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? `user ${os.userInfo().username};` : ''}
pid ${directory}/nginx.pid;
error_log stderr;
events {
  worker_connections 1024;
}
http {
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  access_log ${directory}/access.log combined;
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    location ${PREFIX}/ {
      proxy_pass http://origin/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
