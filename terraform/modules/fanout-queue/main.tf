locals {
  suffix = var.fifo ? ".fifo" : ""

  max_message_size = 262144 # bytes; the maximum that every supported version of the provider accepts

  # SQS throttles and deduplicates each message group separately (high throughput).
  deduplication_scope   = var.fifo ? "messageGroup" : null
  fifo_throughput_limit = var.fifo ? "perMessageGroupId" : null

  # SQS's own key is switched off by another one, and the provider takes no `false` beside that.
  sqs_managed_key = var.kms_key_arn == null ? true : null

  # A service acts for any account, so it may send for this one alone.
  services = [for principal in var.sender_principals : principal if can(regex("[.]amazonaws[.]com([.]cn)?$", principal))]
  senders = sort([
    for principal in var.sender_principals :
    can(regex("^[0-9]{12}$", principal)) ? "arn:${split(":", aws_sqs_queue.messages.arn)[1]}:iam::${principal}:root" : principal
    if !contains(local.services, principal)
  ])
  allow_senders = [for senders in [local.senders] : {
    Sid       = "AllowSenders"
    Action    = "sqs:SendMessage"
    Effect    = "Allow"
    Principal = { AWS = senders }
    Resource  = aws_sqs_queue.messages.arn
  } if length(senders) > 0]
  allow_services = [for services in [local.services] : {
    Sid       = "AllowServices"
    Action    = "sqs:SendMessage"
    Condition = { StringEquals = { "aws:SourceAccount" = split(":", aws_sqs_queue.messages.arn)[4] } }
    Effect    = "Allow"
    Principal = { Service = services }
    Resource  = aws_sqs_queue.messages.arn
  } if length(services) > 0]

  # Lambda has no tags for event source mappings in these partitions.
  mapping_tags = contains(["aws-cn", "aws-us-gov"], split(":", aws_sqs_queue.messages.arn)[1]) ? null : var.tags
}

resource "aws_sqs_queue" "messages" {
  name                       = "${var.name}${local.suffix}"
  deduplication_scope        = local.deduplication_scope
  fifo_queue                 = var.fifo
  fifo_throughput_limit      = local.fifo_throughput_limit
  kms_master_key_id          = var.kms_key_arn
  max_message_size           = local.max_message_size
  message_retention_seconds  = var.message_retention_seconds
  sqs_managed_sse_enabled    = local.sqs_managed_key
  tags                       = var.tags
  visibility_timeout_seconds = 6 * var.function_timeout # AWS's advice, so that a throttled batch is not served twice

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
  kms_master_key_id         = var.kms_key_arn
  max_message_size          = local.max_message_size
  message_retention_seconds = var.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = local.sqs_managed_key
  tags                      = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.messages.arn]
  })
}

# The account's IAM policies grant access to the queues; this policy refuses requests without TLS, and lets other accounts
# and services send if they are named. The plan shows any other queue policy.
resource "aws_sqs_queue_policy" "tls_only" {
  for_each = { messages = aws_sqs_queue.messages, dead_letters = aws_sqs_queue.dead_letters }

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "RefuseWithoutTls"
      Action    = "sqs:*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      Effect    = "Deny"
      Principal = "*"
      Resource  = each.value.arn
    }], [for statement in local.allow_senders : statement if each.key == "messages"], [for statement in local.allow_services : statement if each.key == "messages"])
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
