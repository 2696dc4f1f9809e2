# The route table. A new route takes four edits under one name, its key without `$`: a row here, a policy in
# policies/<name>.json.tftpl, code in handlers/<name>.py and a test in integration_tests/routes/test_<name>.py.
#
# memory_size is in MB; Lambda assigns CPU in proportion (1,769 MB are one vCPU). timeout is in seconds; API Gateway waits
# at most 29. A row may override the stage's limits with throttling_rate_limit and throttling_burst_limit.
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
    "join" = {
      description = "Makes a client of roomcast.v1 a member of rooms."
      memory_size = 256
      timeout     = 10
    }
    "leave" = {
      description = "Takes a client of roomcast.v1 out of a room."
      memory_size = 256
      timeout     = 10
    }
    "ping" = {
      description = "Tells a client that its connection lives, and which of its rooms it is in."
      memory_size = 256
      timeout     = 10
    }
    "sendmessage" = {
      description = "Sends a message to every member of the sender's room, or to one."
      memory_size = var.sendmessage_memory_size
      timeout     = 27
    }
    "whoami" = {
      description = "Tells a client its connection id and room."
      memory_size = 256
      timeout     = 10
    }
    "who" = {
      description = "Tells a client of roomcast.v1 who is in a room."
      memory_size = 256
      timeout     = 10
    }
  }
}
