# The route table. A new route is four edits under one name, its key without `$`: a row here, its rights in
# policies/<name>.json.tftpl, its code in handlers/<name>.py and its test in integration_tests/routes/test_<name>.py.
#
# memory_size is in MB and buys CPU in proportion (1,769 MB are one vCPU); timeout is in seconds, and a route waits for
# at most 29. A row may also hold throttling_rate_limit and throttling_burst_limit, where the stage's do not fit.
locals {
  routes = {
    "$connect" = {
      description = "Writes the membership of a client that joins a room."
      memory_size = 256
      timeout     = 10
    }
    "$disconnect" = {
      description = "Deletes the membership of a client that is gone."
      memory_size = 256
      timeout     = 10
    }
    "$default" = {
      description = "Answers a message that no other route takes with a documented error."
      memory_size = 256
      timeout     = 10
    }
    "sendmessage" = {
      description = "Sends a message to every member of the sender's room, or to one."
      memory_size = 1769
      timeout     = 29
    }
    "whoami" = {
      description = "Tells a client its connection id and room."
      memory_size = 256
      timeout     = 10
    }
  }
}
