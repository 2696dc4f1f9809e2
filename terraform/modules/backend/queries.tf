# Queries of the stage's logs for the console of CloudWatch Logs Insights. `roomcast query` runs the same files, and puts
# an id in the place of ID and a room's digest in that of HASH.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  saved_queries_exist = nonsensitive(var.saved_queries_enabled)

  queries = { for name in fileset("${path.module}/queries", "*.txt") : trimsuffix(name, ".txt") => chomp(file("${path.module}/queries/${name}")) }

  # In one order, because CloudWatch keeps a list.
  log_group_names = sort([for name in concat(values(module.handler)[*].log_group_name, [module.websocket_api.access_log_group_name]) : name if name != null])
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.saved_queries_exist ? local.queries : {} # saved_queries_enabled must be known at plan

  name            = "roomcast/${var.name}/${each.key}"
  log_group_names = local.log_group_names
  query_string    = each.value
}
