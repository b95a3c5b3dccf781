# What Consul's DNS may say to everybody who asks, which is the front: where the gateways are.
service "gateway" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
