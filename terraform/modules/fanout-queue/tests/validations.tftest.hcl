# One run per validation: a bad value is refused at plan.


mock_provider "aws" {}

variables {
  function_arn     = "arn:aws:lambda:eu-central-1:111122223333:function:worker"
  function_timeout = 30
  name             = "fanout"
}

run "batch_size_ends_at_10" {
  command = plan

  variables {
    batch_size = 11
  }

  expect_failures = [var.batch_size]
}

run "dead_letter_retention_seconds_end_at_14_days" {
  command = plan

  variables {
    dead_letter_retention_seconds = 1209601
  }

  expect_failures = [var.dead_letter_retention_seconds]
}

run "dead_letter_retention_seconds_exceed_the_queues" {
  command = plan

  variables {
    dead_letter_retention_seconds = 86400
  }

  expect_failures = [var.dead_letter_retention_seconds]
}

run "function_arn_is_a_function" {
  command = plan

  variables {
    function_arn = "worker"
  }

  expect_failures = [var.function_arn]
}

run "function_timeout_ends_at_900" {
  command = plan

  variables {
    function_timeout = 901
  }

  expect_failures = [var.function_timeout]
}

run "max_receive_count_starts_at_5" {
  command = plan

  variables {
    max_receive_count = 4
  }

  expect_failures = [var.max_receive_count]
}

run "maximum_concurrency_starts_at_2" {
  command = plan

  variables {
    maximum_concurrency = 1
  }

  expect_failures = [var.maximum_concurrency]
}

run "message_retention_seconds_start_at_60" {
  command = plan

  variables {
    message_retention_seconds = 59
  }

  expect_failures = [var.message_retention_seconds]
}

run "name_takes_no_suffix" {
  command = plan

  variables {
    name = "fanout.fifo"
  }

  expect_failures = [var.name]
}

run "tags_take_no_reserved_keys" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}

run "kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/chat"
  }

  expect_failures = [var.kms_key_arn]
}

run "sender_principals_are_named" {
  command = plan

  variables {
    sender_principals = ["arn:aws:iam::111122223333:group/all"]
  }

  expect_failures = [var.sender_principals]
}
