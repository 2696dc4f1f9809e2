# Functions that backends invoke: publish, which has a queue as well, and kick. Without them there is nothing.

locals {
  # Shown even if the caller marks the variables as sensitive, because the plan shows which objects there are.
  publish_exists       = nonsensitive(var.publish_enabled || local.publish_queue_exists)
  publish_queue_exists = nonsensitive(var.publish_queue_enabled || local.publish_queue_before)

  # The first apply without kicks keeps function and rights, because Terraform changes policies before functions.
  kick_exists = nonsensitive(var.kick_enabled || local.kick_before)

  kick_principals  = var.kick_enabled ? var.kick_principals : []
  publish_invokers = var.publish_enabled ? var.publisher_principals : []
  publish_senders  = var.publish_queue_enabled ? var.publisher_principals : []

  # Seconds. SQS delivers a message five times, each after six times as long: the last time within the 15 minutes in which
  # a message's id is known, so that it is stored once.
  publish_timeout = 30

  # By index: `module.publish_queue[*]` would wait for the whole module, and therefore for the function.
  publish_queue_arn = local.publish_queue_exists ? module.publish_queue[0].queue_arn : null

  # Connections are listed by the names of their clients, for what is published to a client and for kicks.
  has_identities = var.authorization_type != "NONE"
  lists_users    = local.has_identities && (var.publish_enabled || var.publish_queue_enabled || var.kick_enabled)
  users_environment = merge(
    local.lists_users ? { ROOMCAST_LISTS_USERS = "true" } : {},
    local.has_identities && var.kick_enabled ? { ROOMCAST_MAY_DENY = "true" } : {},
  )

  # As `use_queue_key`, for a receiver: whatever key the queues have, and for this queue alone.
  use_publish_queue_key = local.publish_queue_exists ? jsonencode({
    Sid      = "UsePublishQueueKey"
    Effect   = "Allow"
    Action   = "kms:Decrypt"
    Resource = "*"
    Condition = {
      StringEquals         = { "kms:ViaService" = "sqs.${split(":", module.connections_table.table_arn)[3]}.${local.dns_suffix}" }
      StringEqualsIfExists = { "kms:EncryptionContext:aws:sqs:arn" = local.publish_queue_arn }
    }
  }) : ""
}

check "publish_queue_is_emptied" {
  assert {
    condition     = var.publish_queue_enabled || !local.publish_queue_exists
    error_message = "publish_queue_enabled was turned off: from this apply on, other accounts and services may not send to the queue, and it is emptied. When no message is in the queue, not even in flight, apply again to remove the queue and its dead letters."
  }
}

check "kick_is_removed" {
  assert {
    condition     = var.kick_enabled || !local.kick_exists
    error_message = "kick_enabled was turned off: from this apply on, no client is kept out. Apply again to remove the function and the right of $connect."
  }
}

module "publish_queue" {
  source = "../fanout-queue"
  count  = local.publish_queue_exists ? 1 : 0 # publish_queue_enabled must be known at plan

  name              = "${var.name}-publish"
  function_arn      = aws_lambda_alias.writers["publish"].arn
  function_timeout  = local.functions["publish"].timeout
  kms_key_arn       = var.queue_kms_key_arn
  sender_principals = local.publish_senders
  tags              = var.tags
}
