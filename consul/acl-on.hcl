# Whoever has no token may do nothing. consul/README.md has the steps; CONSUL_ACL=on in .env has Compose read this.
acl {
  enabled        = true
  default_policy = "deny"
  down_policy    = "extend-cache"
  # Tokens of the agent itself survive its restart.
  enable_token_persistence = true
}
