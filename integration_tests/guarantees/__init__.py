"""What Roomcast promises, each promise proven over sockets: no loss, no duplicate, no leak, nothing left behind."""
