# The alias `live` of each function. API Gateway and the queues invoke the alias, which serves a published version: code and
# environment change together, in one step. The unqualified function runs what was uploaded last, and stays callable.

locals {
  # Functions that read the rows and tasks of others. Their aliases move first, so that a new kind of row or task is read
  # before it is written. A function that is not listed is a writer.
  readers = ["authorizer", "default", "disconnect", "fanout_worker", "ping", "presence", "sweeper", "who", "whoami"]

  aliases = merge(aws_lambda_alias.readers, aws_lambda_alias.writers)

  # Shown even if the caller marks the variables as sensitive, because the principals become addresses.
  alias_principals = merge([
    for name, function in local.functions : {
      for principal in nonsensitive(try(function.invoker_principals, [])) :
      "${name} ${principal}" => { function = name, principal = principal }
    }
  ]...)
}

# All versions are published before the first alias moves, so that functions serve two releases for a second and not for
# as long as an apply takes.
resource "aws_lambda_alias" "readers" {
  for_each = { for name, function in local.functions : name => function.description if contains(local.readers, name) } # queued_delivery.enabled, authorization_type and what enables workers must be known at plan

  name             = "live"
  description      = "What API Gateway and the queues invoke."
  function_name    = module.handler[each.key].arn
  function_version = module.handler[each.key].version

  depends_on = [module.handler]
}

# A queue is connected to its worker before a sender uses it.
resource "aws_lambda_alias" "writers" {
  for_each = { for name, function in local.functions : name => function.description if !contains(local.readers, name) } # what enables workers must be known at plan

  name             = "live"
  description      = "What API Gateway and the queues invoke."
  function_name    = module.handler[each.key].arn
  function_version = module.handler[each.key].version

  depends_on = [aws_lambda_alias.readers, module.fanout_queue, module.presence_queue]
}

resource "aws_lambda_provisioned_concurrency_config" "this" {
  for_each = { for name, function in local.functions : name => function.provisioned_concurrency if try(nonsensitive(function.provisioned_concurrency != null), false) } # which functions have a provisioned_concurrency must be known at plan

  function_name                     = trimsuffix(local.aliases[each.key].arn, ":live") # unknown while the alias is replaced
  provisioned_concurrent_executions = each.value
  qualifier                         = "live"
}

# Beside the unqualified function's permission, which integrations of an earlier release need until they name the alias.
# By the alias's ARN, which is unknown while the alias is replaced: deleting an alias deletes its permissions.
resource "aws_lambda_permission" "alias" {
  for_each = { for name, function in local.functions : name => function.route_key if function.route_key != null } # what enables functions must be known at plan

  action              = "lambda:InvokeFunction"
  function_name       = trimsuffix(local.aliases[each.key].arn, ":live")
  principal           = "apigateway.amazonaws.com"
  qualifier           = "live"
  source_arn          = "${module.websocket_api.stage_execution_arn}/${each.value}"
  statement_id_prefix = "${each.key}-"
}

# As for the unqualified function: callers may name either.
resource "aws_lambda_permission" "alias_principal" {
  for_each = local.alias_principals # kick_principals and publisher_principals must be known at plan

  action              = "lambda:InvokeFunction"
  function_name       = trimsuffix(local.aliases[each.value.function].arn, ":live")
  principal           = can(regex("^[0-9]{12}$", each.value.principal)) ? "arn:${split(":", local.aliases[each.value.function].arn)[1]}:iam::${each.value.principal}:root" : each.value.principal
  qualifier           = "live"
  source_account      = can(regex("[.]amazonaws[.]com([.]cn)?$", each.value.principal)) ? split(":", local.aliases[each.value.function].arn)[4] : null
  statement_id_prefix = "principal-"
}
