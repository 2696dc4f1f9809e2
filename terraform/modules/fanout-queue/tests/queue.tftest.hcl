mock_provider "aws" {
  override_during = plan

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-central-1:111122223333:mocked"
    }
  }
}

override_resource {
  target          = aws_sqs_queue.dead_letters
  override_during = plan

  values = {
    arn = "arn:aws:sqs:eu-central-1:111122223333:fanout-dead-letters"
    id  = "https://sqs.eu-central-1.amazonaws.com/111122223333/fanout-dead-letters"
  }
}

override_resource {
  target          = aws_sqs_queue.messages
  override_during = plan

  values = {
    arn = "arn:aws:sqs:eu-central-1:111122223333:fanout"
  }
}

variables {
  function_arn     = "arn:aws:lambda:eu-central-1:111122223333:function:worker"
  function_timeout = 30
  name             = "fanout"
}

run "messages_reach_the_function" {
  command = plan

  assert {
    condition     = aws_lambda_event_source_mapping.this.event_source_arn == "arn:aws:sqs:eu-central-1:111122223333:fanout" && aws_lambda_event_source_mapping.this.function_name == var.function_arn
    error_message = "the function serves the queue"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.batch_size == 10 && aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 10
    error_message = "batches and concurrency are limited"
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.this.function_response_types) == "ReportBatchItemFailures"
    error_message = "only failed messages are retried"
  }

  assert {
    condition     = aws_sqs_queue.messages.visibility_timeout_seconds == 180
    error_message = "a message stays invisible for six timeouts of the function"
  }

  assert {
    condition     = aws_sqs_queue.messages.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "both queues are encrypted"
  }
}

run "both_queues_may_have_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/queue"
  }

  assert {
    condition     = aws_sqs_queue.messages.kms_master_key_id == var.kms_key_arn && aws_sqs_queue.dead_letters.kms_master_key_id == var.kms_key_arn
    error_message = "both queues have the key"
  }
}

run "the_largest_values_reach_sqs" {
  command = plan

  variables {
    dead_letter_retention_seconds = 1209600
    function_timeout              = 900
    max_receive_count             = 1000
    maximum_concurrency           = 1000
    message_retention_seconds     = 1209599
  }

  assert {
    condition     = aws_sqs_queue.messages.visibility_timeout_seconds == 5400 && jsondecode(aws_sqs_queue.messages.redrive_policy).maxReceiveCount == 1000
    error_message = "a message stays invisible for six timeouts of the function, a thousand times"
  }

  assert {
    condition     = aws_sqs_queue.messages.message_retention_seconds == 1209599 && aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "both queues keep messages for as long as was asked for"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 1000
    error_message = "concurrency is what was asked for"
  }
}

run "the_smallest_values_reach_sqs" {
  command = plan

  variables {
    batch_size                    = 1
    dead_letter_retention_seconds = 61
    function_timeout              = 1
    maximum_concurrency           = 2
    message_retention_seconds     = 60
  }

  assert {
    condition     = aws_sqs_queue.messages.visibility_timeout_seconds == 6
    error_message = "a message stays invisible for six timeouts of the function"
  }

  assert {
    condition     = aws_sqs_queue.messages.message_retention_seconds == 60 && aws_sqs_queue.dead_letters.message_retention_seconds == 61
    error_message = "both queues keep messages for as long as was asked for"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.batch_size == 1 && aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 2
    error_message = "batches and concurrency are what was asked for"
  }
}

run "dead_letters_are_kept" {
  command = plan

  assert {
    condition     = jsondecode(aws_sqs_queue.messages.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:111122223333:fanout-dead-letters", maxReceiveCount = 5 }
    error_message = "a message that failed five times is a dead letter"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-central-1:111122223333:fanout"] }
    error_message = "no other queue may send dead letters here"
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds > aws_sqs_queue.messages.message_retention_seconds
    error_message = "dead letters outlive messages"
  }
}

run "standard_queue_by_default" {
  command = plan

  assert {
    condition     = aws_sqs_queue.messages.name == "fanout" && aws_sqs_queue.dead_letters.name == "fanout-dead-letters" && !aws_sqs_queue.messages.fifo_queue
    error_message = "the queues are standard ones"
  }
}

run "fifo_queues_scale_by_message_group" {
  command = plan

  variables {
    fifo = true
  }

  assert {
    condition     = aws_sqs_queue.messages.name == "fanout.fifo" && aws_sqs_queue.dead_letters.name == "fanout-dead-letters.fifo"
    error_message = "FIFO queues have the suffix that SQS demands"
  }

  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.messages, aws_sqs_queue.dead_letters] : queue.fifo_queue && queue.deduplication_scope == "messageGroup" && queue.fifo_throughput_limit == "perMessageGroupId"])
    error_message = "both queues are FIFO with high throughput"
  }

  assert {
    condition     = aws_sqs_queue.messages.content_based_deduplication != true
    error_message = "two equal messages are two messages"
  }
}

run "everything_is_tagged" {
  command = plan

  variables {
    tags = { team = "chat" }
  }

  assert {
    condition     = alltrue([for tags in [aws_sqs_queue.messages.tags, aws_sqs_queue.dead_letters.tags, aws_lambda_event_source_mapping.this.tags] : tags.team == "chat"])
    error_message = "queues and mapping have the tags"
  }
}

run "mapping_has_no_tags_where_lambda_has_none" {
  command = plan

  override_resource {
    target          = aws_sqs_queue.messages
    override_during = plan

    values = {
      arn = "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:fanout"
    }
  }

  variables {
    function_arn = "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:worker"
    tags         = { team = "chat" }
  }

  assert {
    condition     = length(coalesce(aws_lambda_event_source_mapping.this.tags, {})) == 0 && aws_sqs_queue.messages.tags.team == "chat"
    error_message = "Lambda in this partition refuses tags of a mapping"
  }
}

run "named_senders_may_send" {
  command = plan

  override_resource {
    target          = aws_sqs_queue.messages
    override_during = plan

    values = {
      arn = "arn:aws-cn:sqs:cn-north-1:111122223333:fanout"
    }
  }

  override_resource {
    target          = aws_sqs_queue.dead_letters
    override_during = plan

    values = {
      arn = "arn:aws-cn:sqs:cn-north-1:111122223333:fanout-dead-letters"
    }
  }

  variables {
    sender_principals = ["444455556666", "arn:aws:iam::444455556666:role/shop", "sns.amazonaws.com"]
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.tls_only["messages"].policy).Statement : statement if statement.Effect == "Allow"] == [
      {
        Sid       = "AllowSenders"
        Action    = "sqs:SendMessage"
        Effect    = "Allow"
        Principal = { AWS = ["arn:aws-cn:iam::444455556666:root", "arn:aws:iam::444455556666:role/shop"] }
        Resource  = aws_sqs_queue.messages.arn
      },
      {
        Sid       = "AllowServices"
        Action    = "sqs:SendMessage"
        Condition = { StringEquals = { "aws:SourceAccount" = "111122223333" } }
        Effect    = "Allow"
        Principal = { Service = ["sns.amazonaws.com"] }
        Resource  = aws_sqs_queue.messages.arn
      },
    ]
    error_message = "accounts and roles may send, and services for this account alone"
  }

  assert {
    condition     = length(jsondecode(aws_sqs_queue_policy.tls_only["dead_letters"].policy).Statement) == 1
    error_message = "and to the dead letters nothing may be sent"
  }
}
