# What an agent needs for itself, server or client: its own node in the catalog, and to see the services it tells of.
node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
