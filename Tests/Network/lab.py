"""Two homes behind routers, and a public net between them, as network namespaces of this machine.

    a 10.1.0.2 -- ra (NAT) 198.51.100.2 -- pub 198.18.0.1 -- 203.0.113.2 rb (NAT) -- 10.2.0.2 b

The public net has the hub and the relay, and routes no private address.
"""
import os
import subprocess

PUBLIC = "198.18.0.1"
HOMES = {"a": ("10.1.0", "198.51.100"), "b": ("10.2.0", "203.0.113")}


def run(*command, check=True):
    return subprocess.run(command, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Lab:
    def __init__(self):
        self.prefix = f"dat-nat-{os.getpid()}"
        self.names = ["a", "b", "ra", "rb", "pub"]

    def name(self, machine):
        return f"{self.prefix}-{machine}"

    def on(self, machine, *command):
        """A command line that runs a program on a machine."""
        return ["ip", "netns", "exec", self.name(machine), *command]

    def do(self, machine, line):
        run(*self.on(machine, *line.split()))

    def link(self, one, one_end, other, other_end):
        run("ip", "link", "add", one_end, "netns", self.name(one), "type", "veth",
            "peer", "name", other_end, "netns", self.name(other))
        self.do(one, f"ip link set {one_end} up")
        self.do(other, f"ip link set {other_end} up")

    def __enter__(self):
        for machine in self.names:
            run("ip", "netns", "add", self.name(machine))
            self.do(machine, "ip link set lo up")
        for home, (inner, outer) in HOMES.items():
            router = "r" + home
            self.link(home, "eth0", router, "lan")
            self.link(router, "wan", "pub", "p" + home)
            self.do(home, f"ip addr add {inner}.2/24 dev eth0")
            self.do(router, f"ip addr add {inner}.1/24 dev lan")
            self.do(home, f"ip route add default via {inner}.1")
            self.do(router, f"ip addr add {outer}.2/24 dev wan")
            self.do("pub", f"ip addr add {outer}.1/24 dev p{home}")
            self.do(router, f"ip route add default via {outer}.1")
            self.do(router, "sysctl -qw net.ipv4.ip_forward=1")
        self.do("pub", "sysctl -qw net.ipv4.ip_forward=1")
        self.do("pub", f"ip addr add {PUBLIC}/32 dev lo")
        self.do("pub", "ip route add blackhole 10.0.0.0/8")
        return self

    def nat(self, home, kind):
        """Makes a home's router a NAT: "preserving" keeps ports and reuses them for all, "symmetric" takes another
        port for each destination."""
        router = "r" + home
        self.do(router, "iptables -t nat -F")
        self.do(router, "iptables -F")
        more = " --random-fully" if kind == "symmetric" else ""
        self.do(router, f"iptables -t nat -A POSTROUTING -o wan -p udp -j MASQUERADE{more}")
        self.do(router, "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE")
        # As home routers do. Without it an early packet of the other side makes an entry for the router
        # itself, and ours then gets another port.
        for chain in ("INPUT", "FORWARD"):
            self.do(router, f"iptables -A {chain} -i wan -m conntrack --ctstate NEW -j DROP")

    def __exit__(self, *_):
        for machine in self.names:
            run("ip", "netns", "del", self.name(machine), check=False)
