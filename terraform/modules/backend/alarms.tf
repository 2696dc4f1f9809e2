# Alarms: one table of them, in which a row has metrics, an expression of them if there are several, and what to do.

locals {
  of_backend = { namespace = "Roomcast", dimensions = { Backend = var.name } }
  of_stage   = { namespace = "AWS/ApiGateway", dimensions = { ApiId = module.websocket_api.api_id, Stage = var.stage_name } }

  # In chunks, because an expression of an alarm takes at most 10 metrics. The authorizer raises an error to refuse a
  # token, so that its errors say nothing.
  functions_in_chunks = {
    for metric, names in {
      errors    = [for name in keys(local.functions) : name if name != "authorizer"]
      throttles = keys(local.functions)
    } : metric => { for index, chunk in chunklist(sort(names), 10) : tostring(index + 1) => chunk }
  }

  # Known at plan: the provider does not take metrics that were unknown there if an alarm then stays as it is.
  queues = merge(
    { for queue in module.fanout_queue : "fanout" => { queue = queue.queue_name, dead_letters = queue.dead_letter_queue_name } },
    { for queue in module.presence_queue : "presence" => { queue = queue.queue_name, dead_letters = queue.dead_letter_queue_name } },
    { for queue in module.publish_queue : "publish" => { queue = queue.queue_name, dead_letters = queue.dead_letter_queue_name } },
  )

  # Rows without `points` need 3 breaching minutes of 5, those without `missing` take a minute without data as a good one,
  # and those without `topic` page the operator on call. FILL makes the youngest minute look like 0, so those rows look at one more.
  # A share has a floor, below which a single failure in each minute would be a large percentage.
  alarm_rows = merge(
    {
      execution-errors = {
        threshold = 0
        metrics   = { errors = merge(local.of_stage, { name = "ExecutionError", stat = "Sum" }) }
        meaning   = "API Gateway cannot invoke a function: its permission is missing, it is throttled, or it takes too long."
        command   = "roomcast doctor"
      }
      handshakes-refused = {
        threshold  = 50
        metrics    = { refused = merge(local.of_stage, { name = "ClientError", stat = "Sum" }), accepted = merge(local.of_stage, { name = "ConnectCount", stat = "Sum" }) }
        expression = "100 * refused / IF(refused + FILL(accepted, 0) < 100, 100, refused + FILL(accepted, 0))"
        points     = [4, 6]
        topic      = "ticket" # any client can cause it
        meaning    = "API Gateway refuses most handshakes: the tokens' keys are new, a limit is too low, or it is an attack."
        command    = nonsensitive(var.access_log_enabled) ? "roomcast query handshakes" : "roomcast stats" # which reads no access log
      }
      joins-failing = {
        threshold  = 5
        metrics    = { failed = merge(local.of_backend, { name = "join_failed", stat = "Sum" }), all = merge(local.of_stage, { name = "ConnectCount", stat = "Sum" }) }
        expression = "100 * failed / IF(all < 10, 10, all)"
        meaning    = "Handshakes are answered with 500, because the function cannot write the table."
        command    = "roomcast query errors"
      }
      posts-failed = {
        threshold  = 1
        metrics    = { failed = merge(local.of_backend, { name = "failed", stat = "Sum" }), all = merge(local.of_backend, { name = "posts", stat = "Sum" }) }
        expression = "100 * failed / IF(all < 50, 50, all)"
        meaning    = "Members have missed messages."
        command    = "roomcast query failed"
      }
      posts-refused = {
        threshold = 0
        points    = [1, 1] # nothing is delivered
        metrics   = { refused = merge(local.of_backend, { name = "refused", stat = "Sum" }) }
        meaning   = "API Gateway refuses messages to members: the management endpoint is wrong, or a right is missing."
        command   = "roomcast doctor --only delivery"
      }
      posts-throttled = {
        threshold  = 5
        metrics    = { throttled = merge(local.of_backend, { name = "throttled", stat = "Sum" }), all = merge(local.of_backend, { name = "posts", stat = "Sum" }) }
        expression = "100 * throttled / IF(all < 100, 100, all)"
        topic      = "ticket"
        meaning    = "The account's request quota of API Gateway is short, so that messages are sent twice and arrive late."
        command    = local.sweeper_exists ? "roomcast capacity" : "roomcast stats" # which needs the count of connections
      }
      # In a minute with less than 20 messages, one of them would decide. CloudWatch's own treatment of few samples asks
      # for 1,000 of them.
      delivery-late = {
        threshold  = var.queued_delivery.enabled ? 15000 : 3000 # milliseconds
        metrics    = { late = merge(local.of_backend, { name = "lag_ms", stat = "p99" }), messages = merge(local.of_backend, { name = "lag_ms", stat = "SampleCount" }) }
        expression = "IF(messages >= 20, late)"
        meaning    = "Messages reach the last member of their room late."
        command    = "roomcast query slowest"
      }
      unavailable = {
        threshold = 0
        metrics   = { unavailable = merge(local.of_backend, { name = "unavailable", stat = "Sum" }) }
        meaning   = "The table or a queue is throttled, refuses requests, or is down."
        command   = "roomcast query errors"
      }
    },
    local.checks_tokens ? {
      authorizer-unavailable = {
        threshold = 0
        metrics   = { unavailable = merge(local.of_backend, { name = "auth_unavailable", stat = "Sum" }) }
        meaning   = "The authorizer has no signing keys, and new clients are answered with 500."
        command   = "roomcast query errors"
      }
    } : {},
    {
      for chunk, names in local.functions_in_chunks.errors : "function-errors-${chunk}" => {
        threshold  = 0
        metrics    = { for index, name in names : "m${index}" => { namespace = "AWS/Lambda", name = "Errors", stat = "Sum", dimensions = { FunctionName = "${var.name}-${name}" } } }
        expression = format("SUM([%s])", join(", ", [for index, name in names : "FILL(m${index}, 0)"]))
        points     = [3, 6]
        meaning    = "Functions crash, run out of time or cannot be loaded."
        command    = "roomcast query errors"
      }
    },
    {
      for chunk, names in local.functions_in_chunks.throttles : "function-throttles-${chunk}" => {
        threshold  = 0
        metrics    = { for index, name in names : "m${index}" => { namespace = "AWS/Lambda", name = "Throttles", stat = "Sum", dimensions = { FunctionName = "${var.name}-${name}" } } }
        expression = format("SUM([%s])", join(", ", [for index, name in names : "FILL(m${index}, 0)"]))
        points     = [3, 6]
        meaning    = "The account's concurrency is used up, or a function's reserved concurrency."
        command    = "roomcast doctor --only concurrency"
      }
    },
    {
      for name, queue in local.queues : "dead-letters-${name}" => {
        threshold = 0
        metrics   = { letters = { namespace = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Maximum", dimensions = { QueueName = queue.dead_letters } } }
        points    = [1, 1]
        missing   = "ignore" # a queue that was idle for hours has no data, even with messages in it
        meaning   = "Tasks of the queue ${name} were given up."
        command   = "roomcast dead-letters"
      }
    },
    {
      for name, queue in local.queues : "queue-age-${name}" => {
        threshold = 60 # seconds
        metrics   = { age = { namespace = "AWS/SQS", name = "ApproximateAgeOfOldestMessage", stat = "Maximum", dimensions = { QueueName = queue.queue } } }
        meaning   = "Tasks of the queue ${name} wait: its workers fail, or are too few."
        command   = "roomcast stats"
      }
    },
    local.sweeper_exists ? {
      census-missing = {
        threshold  = 1
        comparison = "LessThanThreshold"
        metrics    = { censuses = merge(local.of_backend, { name = "connections", stat = "SampleCount" }) }
        period     = 900 # three censuses
        points     = [2, 2]
        missing    = "breaching" # nothing is what it looks for
        topic      = "ticket"
        meaning    = "The sweeper does not run, or no metrics arrive: then the other alarms are silent, too."
        command    = "roomcast doctor --only sweeper"
      }
    } : {},
    local.sweeper_exists && nonsensitive(var.sweeper.sweep) ? {
      stale-share = {
        threshold = 20 # percent
        metrics   = { share = merge(local.of_backend, { name = "stale_share", stat = "Maximum" }) }
        period    = 3600 # a cycle takes minutes
        points    = [1, 1]
        topic     = "ticket"
        meaning   = "Many items are of connections that are gone: $disconnect does not run, or fails."
        command   = "roomcast query errors"
      }
    } : {},
  )

  # The key of a threshold and the name of a runbook: an alarm's, without its chunk or queue.
  alarm_kinds = { for name in keys(local.alarm_rows) : name => replace(name, "/^(dead-letters|queue-age|function-errors|function-throttles)-.*$/", "$1") }

  # Which alarms there are is shown, even if the caller marks the variable as sensitive.
  alarms_enabled = nonsensitive(var.alarms != null)
  thresholds     = local.alarms_enabled ? { for name, kind in local.alarm_kinds : name => nonsensitive(lookup(var.alarms.thresholds, kind, local.alarm_rows[name].threshold)) } : {}

  alarms = {
    for name, threshold in local.thresholds : name => merge({ comparison = "GreaterThanThreshold", expression = null, missing = "notBreaching", period = 60, points = [3, 5], topic = "page" }, local.alarm_rows[name], { threshold = threshold })
    if threshold != null
  }
  alarm_topics = local.alarms_enabled ? { page = var.alarms.page_topic_arn, ticket = coalesce(var.alarms.ticket_topic_arn, var.alarms.page_topic_arn) } : {}
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms # alarms must be known at plan, but for its ARNs, and so must be what enables functions and queues

  alarm_name          = "${var.name}-${each.key}"
  alarm_actions       = [local.alarm_topics[each.value.topic]]
  alarm_description   = join(" ", concat([each.value.meaning, "First: ${each.value.command}"], [for url in [var.alarms.runbook_url] : "Runbook: ${url}/${local.alarm_kinds[each.key]}.md" if url != null]))
  comparison_operator = each.value.comparison
  datapoints_to_alarm = each.value.points[0]
  evaluation_periods  = each.value.points[1]
  ok_actions          = [local.alarm_topics[each.value.topic]]
  tags                = var.tags
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id          = metric_query.key
      return_data = each.value.expression == null

      metric {
        dimensions  = metric_query.value.dimensions
        metric_name = metric_query.value.name
        namespace   = metric_query.value.namespace
        period      = each.value.period
        stat        = metric_query.value.stat
      }
    }
  }

  dynamic "metric_query" {
    for_each = each.value.expression == null ? [] : [each.value.expression]

    content {
      id          = "result"
      expression  = metric_query.value
      label       = each.key
      return_data = true
    }
  }
}
