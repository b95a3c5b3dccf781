# A server with everything on it: one of them is enough for one machine, three or five for several (bootstrap_expect is
# their number, retry_join where the others are). Read with the command of docker-compose.yml, which adds the data
# folder and the UI. consul/README.md
datacenter       = "dc1"
node_name        = "consul"
server           = true
bootstrap_expect = 1

# Containers reach it at their network's address; nothing of it is published.
bind_addr   = "0.0.0.0"
client_addr = "0.0.0.0"

# A leader in a second instead of ten; HashiCorp's advice for production.
performance {
  raft_multiplier = 1
}

# The front asks for gateway.service.consul: all of them, and those only that are well.
dns_config {
  only_passing     = true
  udp_answer_limit = 100
}

# Programs that are run as checks could be anything; ours are asked over HTTP.
enable_script_checks       = false
enable_local_script_checks = false

disable_update_check = true
leave_on_terminate   = false
log_level            = "info"
