"""Load runs: thousands of sockets, each message accounted for."""
