# The images of munjigi: `gateway`, the `auth` service, and `dev`, which reloads what is mounted. docs/deployment-image.md
# has how they are built, run and looked over.

# The official image, by its tag; `pinDigests` of Renovate (docker:pinDigests) adds and renews `@sha256:…` behind it.
ARG NODE_IMAGE=node:24.21.0-trixie-slim

# Production dependencies, for both images the same layer: none of them is compiled, and none has a script to run.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Types and source maps are for editors: more than a third of what is installed.
# Where packages come from another registry: --secret id=npmrc,src=$HOME/.npmrc. It is in no layer.
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund && \
    find node_modules -type f \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' \) -delete

# What both images run on: Node, and nothing that installs or builds.
FROM ${NODE_IMAGE} AS runtime
RUN rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg && \
    # DATA_DIR, where somebody asks for it: an empty volume that is mounted here belongs to the user below.
    mkdir /data && chown 1000:1000 /data
ENV NODE_ENV=production
WORKDIR /app
# Owned by root, so that the process cannot change what it runs.
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
# By number: Kubernetes can tell that it is not root (runAsNonRoot). The base image calls it `node`.
USER 1000:1000
# The base image's would start a shell first; Node is process 1 and handles its signals itself.
ENTRYPOINT []

# Everything again, with the tools: the working copy is mounted over /app, all but node_modules.
FROM ${NODE_IMAGE} AS dev
WORKDIR /app
RUN mkdir /data && chown 1000:1000 /app /data
COPY --chown=1000:1000 package.json package-lock.json ./
USER 1000:1000
RUN --mount=type=cache,target=/home/node/.npm,uid=1000,gid=1000 \
    --mount=type=secret,id=npmrc,target=/home/node/.npmrc,uid=1000,gid=1000 \
    npm ci --ignore-scripts --no-audit --no-fund
COPY --chown=1000:1000 . .
# The name of the machine that others see, since what listens on localhost is not reached from outside of it.
ENV NODE_ENV=development HOST=0.0.0.0 AUTH_HOST=0.0.0.0 DATA_DIR=/data
ENTRYPOINT []
EXPOSE 8080
CMD ["node", "--watch", "--watch-preserve-output", "src/main.ts"]

FROM runtime AS auth
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="munjigi auth" \
      org.opencontainers.image.description="The example service of munjigi: users, sign-up and login." \
      org.opencontainers.image.source="https://github.com/jinmini/munjigi" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# Of the gateway's own source what the service imports, which a test knows.
COPY src/errors.ts src/errors.ts
COPY src/config src/config
COPY src/discovery src/discovery
COPY src/persistence src/persistence
COPY src/proxy/balance src/proxy/balance
COPY src/door/client-address.ts src/door/connections.ts src/door/
COPY src/commands/ask-health.ts src/commands/reachable.ts src/commands/
COPY services/auth services/auth
EXPOSE 8001
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["node", "services/auth/health.ts"]
CMD ["node", "services/auth/main.ts"]

# The last one is what a build without --target makes.
FROM runtime AS gateway
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="munjigi" \
      org.opencontainers.image.description="An API gateway: one door to all services, found by discovery." \
      org.opencontainers.image.source="https://github.com/jinmini/munjigi" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY src src
# The example's routes; mount another one over it, or name one with GATEWAY_CONFIG.
COPY gateway.yaml ./
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["node", "src/munjigi.ts", "health"]
CMD ["node", "src/main.ts"]
