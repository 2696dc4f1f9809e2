# Queued delivery: sendmessage puts each message into a queue, and workers send it to the members.

locals {
  # The first apply without queued delivery keeps queue and workers, so that the workers can empty the queue. The result is
  # shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  queue_exists     = nonsensitive(var.queued_delivery.enabled || local.queued_before)
  queue_is_emptied = local.queue_exists && !var.queued_delivery.enabled
  queue_is_fifo    = one([for queue in terraform_data.queue : queue.input.fifo])

  # By index: `module.fanout_queue[*]` would wait for the whole module, and therefore for the worker.
  queue_arn = local.queue_exists ? module.fanout_queue[0].queue_arn : null

  queue_environment = local.queue_exists ? {
    ROOMCAST_QUEUE_FIFO = tostring(local.queue_is_fifo)
    ROOMCAST_QUEUE_URL  = module.fanout_queue[0].queue_url
  } : {}

  # As for the table's key: whatever key the queues have, and for this queue alone. SQS asks a sender for both rights.
  use_queue_key = local.queue_exists ? jsonencode({
    Sid      = "UseQueueKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = "*"
    Condition = {
      StringEquals         = { "kms:ViaService" = "sqs.${split(":", module.connections_table.table_arn)[3]}.${local.dns_suffix}" }
      StringEqualsIfExists = { "kms:EncryptionContext:aws:sqs:arn" = local.queue_arn }
    }
  }) : ""

  sender_environment = var.queued_delivery.enabled ? local.queue_environment : {}
}

check "queue_is_emptied" {
  assert {
    condition     = !local.queue_is_emptied
    error_message = "Queued delivery was turned off: from this apply on, sendmessage delivers by itself, and the workers empty the queue. When no message is in the queue, not even in flight, apply again to remove the queue, its dead letters and the workers."
  }
}

module "fanout_queue" {
  source = "../fanout-queue"
  count  = local.queue_exists ? 1 : 0 # queued_delivery.enabled must be known at plan

  name                = "${var.name}-fanout"
  batch_size          = var.queued_delivery.batch_size
  fifo                = local.queue_is_fifo
  function_arn        = aws_lambda_alias.readers["fanout_worker"].arn
  function_timeout    = local.functions["fanout_worker"].timeout
  kms_key_arn         = var.queue_kms_key_arn
  maximum_concurrency = var.queued_delivery.maximum_concurrency
  tags                = var.tags
}
