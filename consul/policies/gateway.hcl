# What the gateway needs, and nothing more: test/deploy/consul-policies.test.ts takes each line away.

# Which services there are, what they say of themselves, and their instances. Which of them want to be routed is only
# known when their tags are read.
service_prefix "" {
  policy = "read"
}

# An instance is shown to those only who may read the node that it is on.
node_prefix "" {
  policy = "read"
}

# Itself, under GATEWAY_SERVICE_NAME.
service "gateway" {
  policy = "write"
}
