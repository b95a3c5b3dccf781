# A client agent, for each machine on which services run that do not register themselves: it has a file for each of
# them (services/), checks them where they are, and tells the servers. Gateways on that machine ask it, at 127.0.0.1.
#   consul agent -config-file=agent.hcl -config-file=acl-on.hcl -config-dir=services -data-dir=/var/lib/consul
datacenter = "dc1"
server     = false

# The address of this machine that servers reach it at.
bind_addr   = "{{ GetPrivateIP }}"
client_addr = "127.0.0.1"

# Any of the servers.
retry_join = ["consul"]

enable_script_checks       = false
enable_local_script_checks = false

disable_update_check = true
# On SIGTERM its services go with it, instead of failing checks until somebody removes them.
leave_on_terminate = true
log_level          = "info"
