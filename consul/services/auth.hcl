# The example service for an agent on its machine (../agent.hcl), in place of registering itself: then it is started
# without CONSUL_HTTP_ADDR. The tags are those that it registers with; a test compares them.
service {
  name = "auth"
  id   = "auth-1"
  port = 8001

  tags = [
    "gateway.enable=true",
    "gateway.path=/api/users",
    "gateway.path=/api/user",
    "gateway.path=/api/user/me; auth=required",
    "gateway.strip=/api",
    "gateway.auth=none",
  ]

  check {
    name     = "auth answers"
    http     = "http://127.0.0.1:8001/health"
    interval = "5s"
    timeout  = "2s"
  }
}
