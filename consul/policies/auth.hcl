# What a service needs that registers itself: its own name. One policy for each service.
service "auth" {
  policy = "write"
}
