locals {
  suffix = var.fifo ? ".fifo" : ""

  max_message_size = 262144 # bytes; the most that every supported version of the provider accepts

  # Message groups are throttled and deduplicated each on its own: SQS calls this high throughput.
  deduplication_scope   = var.fifo ? "messageGroup" : null
  fifo_throughput_limit = var.fifo ? "perMessageGroupId" : null

  # Lambda has no tags for event source mappings in these partitions.
  mapping_tags = contains(["aws-cn", "aws-us-gov"], split(":", aws_sqs_queue.messages.arn)[1]) ? null : var.tags
}

resource "aws_sqs_queue" "messages" {
  name                       = "${var.name}${local.suffix}"
  deduplication_scope        = local.deduplication_scope
  fifo_queue                 = var.fifo
  fifo_throughput_limit      = local.fifo_throughput_limit
  max_message_size           = local.max_message_size
  message_retention_seconds  = var.message_retention_seconds
  sqs_managed_sse_enabled    = true
  tags                       = var.tags
  visibility_timeout_seconds = 6 * var.function_timeout # what AWS advises, so that a throttled batch is not served twice

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters${local.suffix}"
  deduplication_scope       = local.deduplication_scope
  fifo_queue                = var.fifo
  fifo_throughput_limit     = local.fifo_throughput_limit
  max_message_size          = local.max_message_size
  message_retention_seconds = var.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.messages.arn]
  })
}

# The account's own policies say who may use the queues; here stands how. A policy that somebody adds by hand, for
# another account or for everybody, is named by the plan.
resource "aws_sqs_queue_policy" "tls_only" {
  for_each = { messages = aws_sqs_queue.messages, dead_letters = aws_sqs_queue.dead_letters }

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "RefuseWithoutTls"
      Action    = "sqs:*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      Effect    = "Deny"
      Principal = "*"
      Resource  = each.value.arn
    }]
  })
}

resource "aws_lambda_event_source_mapping" "this" {
  batch_size              = var.batch_size
  event_source_arn        = aws_sqs_queue.messages.arn
  function_name           = var.function_arn
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.mapping_tags

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}
