# A fleet of hosts on Nomad, which registers each with Consul: the members are the targets of Consul's SRV records.
#
# Written from the documentation of Nomad and Consul and read by `make check-manifests`; not run on a cluster.
# Before: install dat on each client, make the secret by `dat host new-fleet-key`, and give the clients the host volume
# `dat`, a folder that belongs to the user dat-host, with fleet.key in it.
job "dat" {
  datacenters = ["dc1"]
  type        = "service"

  group "hosts" {
    count = 3

    # A member's name is that of its node, so that there is one on each.
    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    # One at a time: with two copies of each key, the other one is there.
    update {
      max_parallel     = 1
      min_healthy_time = "30s"
    }

    network {
      mode = "host"
      port "dat" {
        static = 3282
      }
    }

    # Its SRV records are _dat._tcp.service.consul. Without checks a host is a member as long as it is registered.
    service {
      name         = "dat"
      port         = "dat"
      provider     = "consul"
      address_mode = "host"
    }

    volume "data" {
      type   = "host"
      source = "dat"
    }

    task "dat" {
      driver       = "exec"
      user         = "dat-host"
      kill_timeout = "60s"

      volume_mount {
        volume      = "data"
        destination = "/data"
      }

      config {
        command = "/usr/bin/dat"
        args = [
          "host", "run", "/data/host",
          "--listen", "0.0.0.0:${NOMAD_PORT_dat}",
          # Consul's own DNS port on this node; without @ the system's servers are asked.
          "--fleet", "srv:_dat._tcp.service.consul@127.0.0.1:8600",
          "--fleet-key", "/data/fleet.key",
          # `dig _dat._tcp.service.consul SRV -p 8600 @127.0.0.1` shows the names of the members.
          "--self", "${node.unique.name}.node.${node.datacenter}.consul",
          "--copies", "2",
          "--keep", "7",
        ]
      }

      resources {
        cpu    = 200
        memory = 512
      }
    }
  }
}
