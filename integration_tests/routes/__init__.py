"""One file per route, named like the route's handler."""
