# Queued delivery: sendmessage hands each message to a queue, and workers send it to the members.

locals {
  # Senders leave first: the apply after the one that had messages queued keeps the queue and its workers, which empty it.
  queue_exists     = var.queued_delivery.enabled || local.queued_before
  queue_is_emptied = local.queue_exists && !var.queued_delivery.enabled
  queue_is_fifo    = one([for queue in terraform_data.queue : queue.input.fifo])

  # Each by index, never `module.fanout_queue[*]`: that would wait for all of the module, its worker included.
  queue_arn = local.queue_exists ? module.fanout_queue[0].queue_arn : null

  queue_environment = local.queue_exists ? {
    ROOMCAST_QUEUE_FIFO = tostring(local.queue_is_fifo)
    ROOMCAST_QUEUE_URL  = module.fanout_queue[0].queue_url
  } : {}

  sender_environment = var.queued_delivery.enabled ? local.queue_environment : {}
}

check "queue_is_emptied" {
  assert {
    condition     = !local.queue_is_emptied
    error_message = "Queued delivery was turned off: sendmessage delivers by itself from this apply on, while the workers empty the queue. Once the queue is empty, apply again: that removes the queue, its dead letters and the workers."
  }
}

module "fanout_queue" {
  source = "../fanout-queue"
  count  = local.queue_exists ? 1 : 0

  name                = "${var.name}-fanout"
  batch_size          = var.queued_delivery.batch_size
  fifo                = local.queue_is_fifo
  function_arn        = module.fanout_worker[0].arn
  function_timeout    = var.queued_delivery.worker_timeout
  maximum_concurrency = var.queued_delivery.maximum_concurrency
  tags                = var.tags
}

module "fanout_worker" {
  source = "../handler"
  count  = local.queue_exists ? 1 : 0

  name                     = "${var.name}-fanout_worker"
  architecture             = var.architecture
  description              = "Sends queued messages to the members of their rooms."
  environment              = merge(local.environment, local.queue_environment)
  filename                 = var.handlers_bucket == null ? local.zips["fanout_worker"].path : null
  handler                  = "fanout_worker.handler"
  log_kms_key_arn          = var.log_kms_key_arn
  log_retention_days       = var.log_retention_days
  memory_size              = var.queued_delivery.worker_memory_size
  permissions_boundary_arn = var.permissions_boundary_arn
  policy                   = local.policies["fanout_worker"]
  s3_bucket                = var.handlers_bucket
  s3_key                   = var.handlers_bucket == null ? null : aws_s3_object.zip["fanout_worker"].key
  source_code_hash         = local.zips["fanout_worker"].hash
  tags                     = var.tags
  timeout                  = var.queued_delivery.worker_timeout
}
