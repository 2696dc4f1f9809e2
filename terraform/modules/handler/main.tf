data "aws_region" "current" {}

locals {
  # Roles are global and functions are not, so the role's name includes the Region. A hash ends a name over 64 characters,
  # IAM's limit.
  full_role_name = "${var.name}-${data.aws_region.current.id}"
  role_name = (
    length(local.full_role_name) <= 64
    ? local.full_role_name
    : "${substr(local.full_role_name, 0, 55)}-${substr(sha256(local.full_role_name), 0, 8)}"
  )

  network_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]

  # Lambda itself manages network interfaces in the role's name. The function's code, whose requests name the function, may
  # not. As JSON, because both results of a condition must be of one type.
  network_rights = var.vpc == null ? "[]" : jsonencode([
    {
      Sid      = "ConnectToVpc"
      Effect   = "Allow"
      Action   = local.network_actions
      Resource = "*"
    },
    {
      Sid       = "NoNetworkInterfaceForCode"
      Effect    = "Deny"
      Action    = local.network_actions
      Resource  = "*"
      Condition = { Null = { "lambda:SourceFunctionArn" = "false" } }
    },
  ])

  # Each character of base64 holds six bits, and `length` counts characters.
  environment_bytes = nonsensitive(floor(length(trim(base64encode(jsonencode(var.environment)), "=")) * 3 / 4))
  long_variables    = [for name in sort(nonsensitive(keys(var.environment))) : name if nonsensitive(length(var.environment[name])) > 256]

  # What a version holds. Absent settings are null or "".
  versioned = [
    "architectures", "code_sha256", "description", "environment", "ephemeral_storage", "handler", "kms_key_arn", "layers",
    "logging_config", "memory_size", "role", "runtime", "timeout", "tracing_config", "vpc_config",
  ]
  is_published = alltrue([
    for setting in local.versioned : nonsensitive(
      replace(jsonencode(aws_lambda_function.this[setting]), "null", "\"\"")
      == replace(jsonencode(data.aws_lambda_function.latest_version[setting]), "null", "\"\"")
    )
  ])

  trace_rights = var.tracing_mode == "PassThrough" ? "[]" : jsonencode([{
    Sid      = "WriteTraces"
    Effect   = "Allow"
    Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    Resource = "*"
  }])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  kms_key_id        = var.log_kms_key_arn
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name                 = local.role_name
  description          = "What the Lambda function ${var.name} may do."
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  # With `depends_on` in the module call the Region, and so the name, may be unknown at plan. The role keeps its name, and its
  # path as well, because another one would replace role and function.
  lifecycle {
    ignore_changes       = [name, path]
    replace_triggered_by = [aws_cloudwatch_log_group.this.name]
  }

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

# The logs, and what else Lambda does in the function's name.
resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "WriteOwnLogs"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Effect   = "Allow"
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      }],
      jsondecode(local.network_rights),
      jsondecode(local.trace_rights),
    )
  })
}

resource "aws_iam_role_policy" "task" {
  name   = "task"
  role   = aws_iam_role.this.id
  policy = var.policy
}

# The plan shows inline policies that were added by hand, and the apply removes them.
resource "aws_iam_role_policies_exclusive" "this" {
  role_name    = aws_iam_role.this.name
  policy_names = [aws_iam_role_policy.logs.name, aws_iam_role_policy.task.name]
}

resource "aws_iam_role_policy_attachments_exclusive" "this" {
  role_name   = aws_iam_role.this.name
  policy_arns = []
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  architectures                  = [var.architecture]
  code_signing_config_arn        = var.code_signing_config_arn
  description                    = var.description
  filename                       = var.filename
  handler                        = var.handler
  kms_key_arn                    = var.kms_key_arn
  layers                         = var.layers
  memory_size                    = var.memory_size
  publish                        = true
  reserved_concurrent_executions = var.reserved_concurrency
  role                           = aws_iam_role.this.arn
  runtime                        = var.runtime
  s3_bucket                      = var.s3_bucket
  s3_key                         = var.s3_key
  source_code_hash               = var.code_revision == null ? var.source_code_hash : "${coalesce(var.source_code_hash, "unknown")} ${var.code_revision}"
  tags                           = var.tags
  timeout                        = var.timeout

  environment {
    variables = var.environment
  }

  ephemeral_storage {
    size = var.ephemeral_storage_size
  }

  # In JSON, Lambda drops lines below a level, which it finds in none of the handlers' lines and metrics: it takes all.
  logging_config {
    application_log_level = var.log_format == "JSON" ? "TRACE" : null
    log_format            = var.log_format
    log_group             = aws_cloudwatch_log_group.this.name
  }

  dynamic "snap_start" {
    for_each = var.snap_start ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  # Set in any case, so that a plan shows a mode that was set by hand.
  tracing_config {
    mode = var.tracing_mode
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      ipv6_allowed_for_dual_stack = vpc_config.value.ipv6_allowed
      security_group_ids          = vpc_config.value.security_group_ids
      subnet_ids                  = vpc_config.value.subnet_ids
    }
  }

  # Create policies before the function and delete them after it, because a function may run while it is being deleted.
  depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task]

  # Lambda encrypts the environment for the role's unique id, so a new role with the same name cannot decrypt it.
  lifecycle {
    replace_triggered_by = [aws_iam_role.this.unique_id]

    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    precondition {
      condition     = local.environment_bytes <= 4096
      error_message = "The function ${var.name} would have ${local.environment_bytes} bytes of environment variables, and Lambda takes 4096, names and values as JSON. The longest are ${join(", ", local.long_variables)}."
    }
  }
}

# The provider remembers the digest of a zip whose upload AWS refused, and never reads back what the function runs.
check "function_runs_its_zip" {
  assert {
    condition     = var.source_code_hash == null ? true : aws_lambda_function.this.code_sha256 == var.source_code_hash
    error_message = "The function ${var.name} runs other code than its zip's, because an upload failed or the code was changed by hand. Apply another code_revision to upload the zip again."
  }
}

# The latest version. The provider takes a change for done although AWS has refused to publish its version, or although it
# was stopped before it could ask. An alias then serves what was uploaded last, until another change publishes a version.
data "aws_lambda_function" "latest_version" {
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
}

resource "aws_lambda_permission" "this" {
  for_each = { for key in nonsensitive(keys(var.invoke_permissions)) : key => var.invoke_permissions[key] } # the keys of invoke_permissions must be known at plan

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = each.value

  statement_id_prefix = "${each.key}-"

  # Deleting a function deletes its permissions.
  lifecycle {
    replace_triggered_by = [aws_lambda_function.this.arn]
  }
}

resource "aws_lambda_permission" "principal" {
  for_each = nonsensitive(var.invoker_principals) # invoker_principals must be known at plan

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name

  # Lambda keeps an account as the ARN of its root, and another text would be a change in each plan.
  principal = can(regex("^[0-9]{12}$", each.value)) ? "arn:${split(":", aws_lambda_function.this.arn)[1]}:iam::${each.value}:root" : each.value

  # A service acts for any account, so it is allowed for this one alone.
  source_account = can(regex("[.]amazonaws[.]com([.]cn)?$", each.value)) ? split(":", aws_lambda_function.this.arn)[4] : null

  statement_id_prefix = "principal-"

  # Deleting a function deletes its permissions.
  lifecycle {
    replace_triggered_by = [aws_lambda_function.this.arn]
  }
}
