# The sweeper: a function that counts the connections, and deletes items of those that do not exist. EventBridge Scheduler
# invokes it. Where it is not enabled there is nothing.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  sweeper_exists = nonsensitive(var.sweeper.enabled)

  sweeper_environment = {
    ROOMCAST_SWEEP_PACE = var.sweeper.sweep ? tostring(var.sweeper.share * var.account_requests_per_second) : "0"
  }

  # As the name of a function's role.
  full_schedule_role_name = "${var.name}-schedule-${data.aws_region.current.id}"
  schedule_role_name = (
    length(local.full_schedule_role_name) <= 64
    ? local.full_schedule_role_name
    : "${substr(local.full_schedule_role_name, 0, 55)}-${substr(sha256(local.full_schedule_role_name), 0, 8)}"
  )

  # arn:<partition>:lambda:<region>:<account>:function:<name>:live
  sweeper_alias = local.sweeper_exists ? split(":", aws_lambda_alias.readers["sweeper"].arn) : []
}

resource "aws_iam_role" "schedule" {
  count = local.sweeper_exists ? 1 : 0 # sweeper.enabled must be known at plan

  name                 = local.schedule_role_name
  description          = "What the schedule ${var.name}-sweeper may do."
  path                 = var.function_defaults.role_path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  # In no other account's name, and for no schedule of another group: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.sweeper_alias[4]
          "aws:SourceArn"     = "arn:${local.sweeper_alias[1]}:scheduler:${local.sweeper_alias[3]}:${local.sweeper_alias[4]}:schedule-group/default"
        }
      }
    }]
  })

  # As a function's role.
  lifecycle {
    ignore_changes       = [name, path]
    replace_triggered_by = [terraform_data.value_in_use["name"]]
  }
}

resource "aws_iam_role_policy" "schedule" {
  count = local.sweeper_exists ? 1 : 0 # sweeper.enabled must be known at plan

  name = "invoke"
  role = aws_iam_role.schedule[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeSweeper"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = aws_lambda_alias.readers["sweeper"].arn
    }]
  })
}

resource "aws_iam_role_policies_exclusive" "schedule" {
  count = local.sweeper_exists ? 1 : 0 # sweeper.enabled must be known at plan

  role_name    = aws_iam_role.schedule[0].name
  policy_names = [aws_iam_role_policy.schedule[0].name]
}

resource "aws_iam_role_policy_attachments_exclusive" "schedule" {
  count = local.sweeper_exists ? 1 : 0 # sweeper.enabled must be known at plan

  role_name   = aws_iam_role.schedule[0].name
  policy_arns = []
}

resource "aws_scheduler_schedule" "sweeper" {
  count = local.sweeper_exists ? 1 : 0 # sweeper.enabled must be known at plan

  name                = "${var.name}-sweeper"
  description         = "Counts the connections of the Roomcast backend ${var.name}, and sweeps."
  schedule_expression = "rate(5 minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.readers["sweeper"].arn
    role_arn = aws_iam_role.schedule[0].arn

    # The next run is due soon, and two would share nothing but the lease.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }

  # The schedule goes before the right to invoke the function.
  depends_on = [aws_iam_role_policy.schedule]
}
