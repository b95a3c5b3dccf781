# Development: whoever reaches Consul may do everything. Nobody does but the containers beside it, and this machine.
acl {
  enabled = false
}
