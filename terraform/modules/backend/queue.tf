# Queued delivery: sendmessage hands each message to a queue, and workers send it to the members.

locals {
  # Senders leave first: the apply after the one that had messages queued keeps the queue and its workers, which empty it.
  queue_exists     = var.queued_delivery.enabled || local.queued_before
  queue_is_emptied = local.queue_exists && !var.queued_delivery.enabled
  queue_is_fifo    = one([for queue in terraform_data.queue : queue.input.fifo])

  # Each by index, never `module.fanout_queue[*]`: that would wait for all of the module, and so for its worker.
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
  function_arn        = module.handler["fanout_worker"].arn
  function_timeout    = var.queued_delivery.worker_timeout
  maximum_concurrency = var.queued_delivery.maximum_concurrency
  tags                = var.tags
}
