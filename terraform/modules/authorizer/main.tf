locals {
  # arn:<partition>:lambda:<region>:<account>:function:<name>, and perhaps :<version or alias>.
  function = split(":", var.function_arn)
  api      = split(":", var.execution_arn)

  invoked_arn = var.alias == null ? var.function_arn : var.alias.arn
}

# WebSocket APIs have neither payload versions nor simple responses nor cached results, so none of them is set.
resource "aws_apigatewayv2_authorizer" "this" {
  api_id           = var.api_id
  authorizer_type  = "REQUEST"
  authorizer_uri   = "arn:${local.function[1]}:apigateway:${local.function[3]}:lambda:path/2015-03-31/functions/${local.invoked_arn}/invocations"
  identity_sources = var.identity_sources
  name             = var.name

  # The API may invoke the alias before it does.
  depends_on = [aws_lambda_permission.alias]

  lifecycle {
    precondition {
      condition     = local.function[3] == local.api[3]
      error_message = "function_arn must be a function in the Region of the API, ${local.api[3]}."
    }
  }
}

resource "aws_lambda_permission" "this" {
  count = nonsensitive(var.permission) ? 1 : 0 # authorizer_permission must be known at plan

  action              = "lambda:InvokeFunction"
  function_name       = local.function[6]
  principal           = "apigateway.amazonaws.com"
  qualifier           = try(local.function[7], null)
  source_arn          = "${var.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this.id}"
  statement_id_prefix = "${var.name}-authorizer-"

  lifecycle {
    precondition {
      condition     = local.function[4] == local.api[4]
      error_message = "function_arn is a function of another account, whose policy only that account can change. Set authorizer_permission = false, and let that account allow apigateway.amazonaws.com to invoke the function, with the output authorizer_source_arn as the source ARN."
    }
  }
}

# Beside the function's own permission, which an authorizer of an earlier release needs until it names the alias. For any
# authorizer of the API, because the authorizer waits for this permission. By the alias's ARN, which is unknown while the
# alias is replaced: deleting an alias deletes its permissions.
resource "aws_lambda_permission" "alias" {
  count = nonsensitive(var.permission) && var.alias != null ? 1 : 0 # authorizer_permission must be known at plan

  action              = "lambda:InvokeFunction"
  function_name       = join(":", slice(split(":", var.alias.arn), 0, 7))
  principal           = "apigateway.amazonaws.com"
  qualifier           = split(":", var.alias.arn)[7]
  source_arn          = "${var.execution_arn}/authorizers/*"
  statement_id_prefix = "${var.name}-authorizer-"
}
