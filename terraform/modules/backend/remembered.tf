# Values of the last apply. A plan refuses changes that would replace what clients use, and changes that need two applies.
#
# An object below is replaced when its value changes, and keeps the time of its creation. If this plan creates the object,
# the value changes. A second object per value, created after the first, tells a changed value from one that no apply has
# remembered yet, as in a first apply, after an interrupted first apply, or after an upgrade that remembers more values.

locals {
  remembered = {
    history           = local.keeps_history
    kick              = var.kick_enabled
    name              = var.name
    presence          = local.has_presence
    publish_queue     = var.publish_queue_enabled
    queued_delivery   = var.queued_delivery.enabled
    shards_per_room   = var.shards_per_room
    shards_read       = local.shards_read
    stage_name        = var.stage_name
    table_kms_key_arn = var.table_kms_key_arn
    table_name        = local.table_name
  }

  # Values that functions read. An apply that stopped may have updated only some functions.
  settled = { for name in ["history", "kick", "presence", "queued_delivery", "shards_per_room", "shards_read"] : name => local.remembered[name] }

  # This plan changes the value.
  changed = {
    for name, value in terraform_data.value_in_use :
    name => value.input == plantimestamp() && terraform_data.in_use[name].input != plantimestamp()
  }

  # This plan changes the value, or an earlier apply that changed it has not updated every function.
  unsettled = {
    for name, value in terraform_data.settled :
    name => local.changed[name] || value.input == plantimestamp() && terraform_data.settled_before[name].input != plantimestamp()
  }

  refused = { for name, changed in local.changed : name => changed && !contains(var.allow_replacement, name) }

  history_before       = local.changed["history"] ? !local.keeps_history : local.keeps_history
  kick_before          = local.changed["kick"] ? !var.kick_enabled : var.kick_enabled
  publish_queue_before = local.changed["publish_queue"] ? !var.publish_queue_enabled : var.publish_queue_enabled
  queued_before        = local.changed["queued_delivery"] ? !var.queued_delivery.enabled : var.queued_delivery.enabled
  presence_before      = local.changed["presence"] ? !local.has_presence : local.has_presence
}

# Functions and queue depend on these objects. So a value is remembered before anything uses it. The values may be unknown
# when the backend is first planned.
resource "terraform_data" "value_in_use" {
  for_each = local.remembered

  input            = plantimestamp()
  triggers_replace = [each.value]

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "in_use" {
  for_each = local.remembered

  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [terraform_data.value_in_use]
}

resource "terraform_data" "settled" {
  for_each = local.settled

  input            = plantimestamp()
  triggers_replace = [each.value]

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [aws_lambda_alias.readers, aws_lambda_alias.writers]
}

resource "terraform_data" "settled_before" {
  for_each = local.settled

  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [terraform_data.settled]
}

# When the limit of members was last set where there was none. Members join uncounted while there is none, so functions do
# not believe numbers from before.
resource "terraform_data" "members_counted" {
  input            = plantimestamp()
  triggers_replace = [var.maximum_room_members != null]

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "queue" {
  count = local.queue_exists ? 1 : 0 # queued_delivery.enabled must be known at plan

  input = { fifo = var.queued_delivery.fifo }

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = !var.queued_delivery.enabled || self.input.fifo == var.queued_delivery.fifo
      error_message = "queued_delivery.fifo must not change while there is a queue, because that would delete the queue with its messages. Apply `queued_delivery = { enabled = false }`, apply it again when no message is in the queue, not even in flight, and then turn queued delivery on with the other kind of queue."
    }
  }
}

resource "terraform_data" "refusals" {
  lifecycle {
    precondition {
      condition     = !local.checks_tokens || (var.jwt_jwks_url == null) != (var.jwt_secret_arn == null)
      error_message = "authorization_type \"JWT\" needs exactly one of jwt_jwks_url and jwt_secret_arn: with both, a token could be signed with what the other one publishes."
    }

    precondition {
      condition     = !local.checks_tokens || length(var.jwt_issuer) >= 1
      error_message = "authorization_type \"JWT\" needs jwt_issuer, because any other service's tokens with the same key would be taken."
    }

    precondition {
      condition     = !local.checks_tokens || length(var.jwt_audience) >= 1
      error_message = "authorization_type \"JWT\" needs jwt_audience, because the issuer's tokens for other services would be taken."
    }

    precondition {
      condition     = var.default_endpoint_enabled || var.management_endpoint != null
      error_message = "default_endpoint_enabled = false needs management_endpoint, because the functions would call the endpoint that is off: give the output management_endpoint of modules/custom-domain."
    }

    precondition {
      condition     = alltrue([for name in keys(var.functions) : contains(keys(local.timeouts), name)])
      error_message = "functions must have keys that are handlers: ${join(", ", sort(keys(local.timeouts)))}."
    }

    precondition {
      condition     = length(local.contradictions) == 0
      error_message = "functions must not contradict a deprecated variable: ${join(", ", local.contradictions)} have different values. Give the one in functions, and leave the other out."
    }

    precondition {
      condition     = alltrue([for name, function in local.functions : function.timeout >= local.timeouts[name][0] && function.timeout <= local.timeouts[name][1]])
      error_message = "functions must have a timeout that keeps the handler's promises, in seconds: ${join(", ", [for name, range in local.timeouts : "${range[0]} to ${range[1]} for ${name}"])}."
    }

    precondition {
      condition     = alltrue([for function in values(local.functions) : function.provisioned_concurrency == null || function.reserved_concurrency == null || try(function.provisioned_concurrency <= function.reserved_concurrency, false)])
      error_message = "functions must not have more provisioned_concurrency than reserved_concurrency, because Lambda keeps no more environments ready than may run."
    }

    precondition {
      condition     = length(local.crowded_policies) == 0
      error_message = "additional_routes must leave room in the policy of each function or alias, which has a statement for each of its routes and at most 20480 bytes: ${join(", ", local.crowded_policies)} would need more. Invoke an alias of the function for some of the routes, because an alias has a policy of its own."
    }

    precondition {
      condition     = !local.history_exists || local.table_name != "${var.name}-history"
      error_message = "table_name must not be ${var.name}-history, which is the name of the history table."
    }

    precondition {
      condition     = !local.refused["name"]
      error_message = "name is part of every name: another one replaces the table, the functions and the API, and cuts off every client. To do that in this apply, give allow_replacement = [\"name\", \"table_name\"]; with table_deletion_protection, turn that off in an apply before."
    }

    precondition {
      condition     = !local.refused["stage_name"]
      error_message = "stage_name is part of the URL: another one replaces the stage and cuts off every client, whose rows stay in the table until they expire. To do that in this apply, give allow_replacement = [\"stage_name\"]."
    }

    precondition {
      condition     = !local.refused["table_name"] || local.refused["name"]
      error_message = "table_name cannot change: DynamoDB renames no table, so the table and its rows would go and every client would be in no room. To do that in this apply, give allow_replacement = [\"table_name\"]; with table_deletion_protection, turn that off in an apply before."
    }

    precondition {
      condition     = var.table_kms_key_arn != null || !local.refused["table_kms_key_arn"]
      error_message = "table_kms_key_arn cannot be taken away: the provider would leave the table on its key and say nothing. Give the table another key; or move it by `aws dynamodb update-table --table-name ${local.table_name} --sse-specification Enabled=true,SSEType=KMS` to the account's own key${local.history_exists ? ", and the table ${var.name}-history in the same way" : ""}, and give allow_replacement = [\"table_kms_key_arn\"] in the apply after that."
    }

    precondition {
      condition     = local.queue_exists || !local.unsettled["queued_delivery"]
      error_message = "The apply that turned queued_delivery off did not finish, so sendmessage may still put messages into the queue that this apply would remove. Apply `queued_delivery = { enabled = true }`, which changes nothing else, and then turn it off again."
    }

    precondition {
      condition     = local.history_exists || !local.unsettled["history"]
      error_message = "The apply that emptied history_rooms did not finish, so functions may still use the table that this apply would remove. Apply the history_rooms from before, and then empty them again."
    }

    precondition {
      condition     = local.presence_exists || !local.unsettled["presence"]
      error_message = "The apply that emptied presence_rooms did not finish, so functions may still use the queue that this apply would remove. Apply the presence_rooms from before, and then empty them again."
    }

    precondition {
      condition     = local.kick_exists || !local.unsettled["kick"]
      error_message = "The apply that turned kick_enabled off did not finish, so $connect may still use the right that this apply would take away. Apply kick_enabled = true, which changes nothing else, and then turn it off again."
    }

    # Terraform updates functions one after the other. So senders must read a partition before a member can be in it, and
    # as long as one may be in it.
    precondition {
      condition     = local.shards_read >= var.shards_per_room
      error_message = "shards_read must be at least shards_per_room, because senders would miss the members in the other partitions."
    }

    precondition {
      condition     = !((local.changed["shards_per_room"] || local.changed["shards_read"]) && local.unsettled["shards_per_room"] && local.unsettled["shards_read"])
      error_message = "shards_per_room and shards_read must not change in one apply, because functions change one after the other, and members would be in partitions that senders do not read. To raise them, first apply shards_read = ${local.shards_read} with the old shards_per_room. To lower them, first apply shards_per_room = ${var.shards_per_room} with the old shards_read, and lower shards_read two hours later, when the last client in the other partitions has disconnected. An apply that stopped half-way must be finished first."
    }
  }
}

moved {
  from = terraform_data.in_use
  to   = terraform_data.in_use["name"]
}
