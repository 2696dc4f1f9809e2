"""The guarantees of Roomcast, proven over sockets: no loss, no duplicate, no leak, no item left behind."""
