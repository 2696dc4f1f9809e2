# One dashboard, from what an operator reads in ten seconds to what explains it. It shows at most 50 metrics, because three
# dashboards with so few cost nothing (https://aws.amazon.com/cloudwatch/pricing/). So not each function has its own
# throttles, nor each one its time: only those that handshakes and messages wait for, and the logs that grow with them.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  dashboard_exists = nonsensitive(var.dashboard_enabled)

  # From an ARN, because data sources are unknown while the module waits for something by `depends_on`.
  dashboard_region = split(":", module.connections_table.table_arn)[3]

  # Metrics as the body names them: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
  own_metrics   = { for name in ["connections", "delivered", "failed", "gone", "join_failed", "lag_ms", "posts", "slow", "stale_share", "swept", "throttled"] : name => ["Roomcast", name, "Backend", var.name] }
  stage_metrics = { for name in ["ClientError", "ConnectCount", "IntegrationError", "MessageCount"] : name => ["AWS/ApiGateway", name, "ApiId", module.websocket_api.api_id, "Stage", var.stage_name] }
  error_metrics = [for name in sort(keys(local.functions)) : ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-${name}", { label = name }] if name != "authorizer"] # see alarms.tf
  time_metrics  = [for name in ["authorizer", "connect", "fanout_worker", "publish", "sendmessage"] : ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-${name}", { label = name }] if contains(keys(local.functions), name)]
  queue_metrics = { for name, queue in local.queues : name => {
    age     = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue.queue]
    letters = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.dead_letters]
    waiting = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.queue]
  } }
  byte_metrics = concat(
    [for name in ["fanout_worker", "ping", "sendmessage"] : ["AWS/Logs", "IncomingBytes", "LogGroupName", module.handler[name].log_group_name, { label = name }] if contains(keys(local.functions), name)],
    [for name in [module.websocket_api.access_log_group_name] : ["AWS/Logs", "IncomingBytes", "LogGroupName", name, { label = "access" }] if name != null],
  )

  late_threshold = coalesce(lookup(local.thresholds, "delivery-late", null), local.alarm_rows["delivery-late"].threshold)

  # Widgets share the width of their row. One without `exists` is always there.
  dashboard_rows = [
    {
      height = 4
      widgets = [{
        exists     = length(local.alarms) > 0
        type       = "alarm"
        properties = { title = "Alarms", alarms = values(aws_cloudwatch_metric_alarm.this)[*].arn }
      }]
    },
    {
      height = 4
      widgets = [
        {
          exists     = local.sweeper_exists
          properties = { title = "Open connections", view = "singleValue", stat = "Maximum", period = 300, metrics = [local.own_metrics.connections] } # a census takes place every 5 minutes
        },
        {
          properties = { title = "Deliveries a minute", view = "singleValue", stat = "Sum", metrics = [local.own_metrics.delivered] }
        },
        {
          properties = { title = "Failed deliveries, %", view = "singleValue", stat = "Sum", metrics = [
            [{ expression = "100 * FILL(failed, 0) / posts", id = "share", label = "failed" }],
            concat(local.own_metrics.failed, [{ id = "failed", visible = false }]),
            concat(local.own_metrics.posts, [{ id = "posts", visible = false }]),
          ] }
        },
        {
          properties = { title = "Delivery, p99, ms", view = "singleValue", stat = "p99", metrics = [local.own_metrics.lag_ms] }
        },
        {
          exists     = length(local.queues) > 0
          properties = { title = "Oldest task, s", view = "singleValue", stat = "Maximum", metrics = [for name, queue in local.queue_metrics : concat(queue.age, [{ label = name }])] }
        },
        {
          exists     = length(local.queues) > 0
          properties = { title = "Dead letters", view = "singleValue", stat = "Maximum", metrics = [for name, queue in local.queue_metrics : concat(queue.letters, [{ label = name }])] }
        },
      ]
    },
    {
      height = 6
      widgets = [
        {
          properties = { title = "Deliveries a minute", stacked = true, stat = "Sum", metrics = [for name in ["delivered", "failed", "slow", "throttled"] : local.own_metrics[name]] }
        },
        {
          properties = {
            title       = "From message to last member, ms"
            metrics     = [for stat in ["p50", "p95", "p99"] : concat(local.own_metrics.lag_ms, [{ label = stat, stat = stat }])]
            annotations = { horizontal = [{ label = "delivery-late", value = local.late_threshold }] }
          }
        },
        {
          properties = { title = "Handshakes a minute", stat = "Sum", metrics = [
            concat(local.stage_metrics.ConnectCount, [{ label = "to the function" }]),
            concat(local.stage_metrics.ClientError, [{ label = "refused before it, messages included" }]),
            concat(local.own_metrics.join_failed, [{ label = "answered with 500" }]),
          ] }
        },
      ]
    },
    {
      height = 6
      widgets = [
        {
          properties = {
            title = "Requests a second of this stage"
            stat  = "Sum"
            metrics = [
              [{ expression = "(FILL(handshakes, 0) + messages) / PERIOD(messages)", id = "requests", label = "requests" }],
              concat(local.stage_metrics.ConnectCount, [{ id = "handshakes", visible = false }]),
              concat(local.stage_metrics.MessageCount, [{ id = "messages", visible = false }]),
            ]
            annotations = { horizontal = [{ label = "account", value = var.account_requests_per_second }] }
          }
        },
        {
          properties = {
            title       = "Invocations at a time in the account"
            metrics     = [["AWS/Lambda", "ConcurrentExecutions", { stat = "Maximum" }], ["AWS/Lambda", "Throttles", { stat = "Sum", yAxis = "right" }]]
            annotations = { horizontal = [{ label = "account", value = var.account_concurrency }] }
          }
        },
        {
          exists = length(local.queues) > 0
          properties = {
            title = "Queues"
            stat  = "Maximum"
            metrics = concat(
              [for name, queue in local.queue_metrics : concat(queue.waiting, [{ label = "${name}: tasks" }])],
              [for name, queue in local.queue_metrics : concat(queue.age, [{ label = "${name}: age, s", yAxis = "right" }])],
            )
          }
        },
      ]
    },
    {
      height = 6
      widgets = [
        {
          properties = { title = "Errors a minute", stacked = true, stat = "Sum", metrics = local.error_metrics }
        },
        {
          properties = { title = "Time of functions, p99, ms", stat = "p99", metrics = local.time_metrics }
        },
        {
          properties = {
            title = "Connections"
            metrics = concat(
              [for metric in [local.own_metrics.connections] : concat(metric, [{ period = 300, stat = "Maximum" }]) if local.sweeper_exists],
              [for metric in [local.own_metrics.stale_share] : concat(metric, [{ label = "stale, %", stat = "Maximum", yAxis = "right" }]) if local.sweeper_exists],
              [for metric in [local.own_metrics.swept] : concat(metric, [{ stat = "Sum" }]) if local.sweeper_exists],
              [concat(local.own_metrics.gone, [{ stat = "Sum" }])],
            )
          }
        },
        {
          properties = { title = "Integration errors, which any client can cause", stat = "Sum", metrics = [local.stage_metrics.IntegrationError] }
        },
        {
          properties = { title = "Logs, bytes a minute", stacked = true, stat = "Sum", metrics = local.byte_metrics }
        },
      ]
    },
    {
      height = 4
      widgets = [{
        type = "text"
        properties = { markdown = join("\n", concat(
          ["First: `roomcast doctor`. Errors by cause: `roomcast query errors`. One message: `roomcast follow ID`."],
          [for url in [try(nonsensitive(var.alarms.runbook_url), null)] : "\n[Runbooks](${url}), one for each alarm." if url != null],
          ["\nLogs: ${join(", ", [for name in local.log_group_names : "`${name}`"])}"],
        )) }
      }]
    },
  ]

  # Without those that do not exist, and with their places on a grid of 24 columns.
  shown_rows = [for row in [for each in local.dashboard_rows : { height = each.height, widgets = [for widget in each.widgets : widget if try(widget.exists, true)] }] : row if length(row.widgets) > 0]

  dashboard_widgets = flatten([
    for index, row in local.shown_rows : [
      for column, widget in row.widgets : {
        type       = try(widget.type, "metric")
        x          = column * floor(24 / length(row.widgets))
        y          = sum(concat([0], slice(local.shown_rows[*].height, 0, index)))
        width      = floor(24 / length(row.widgets))
        height     = row.height
        properties = merge(concat([for of_metrics in [{ period = 60, region = local.dashboard_region }] : of_metrics if !can(widget.type)], [widget.properties])...)
      }
    ]
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  count = local.dashboard_exists ? 1 : 0 # dashboard_enabled must be known at plan

  # The account has one list of dashboards for all Regions.
  dashboard_name = "${var.name}-${local.dashboard_region}"
  dashboard_body = jsonencode({ start = "-PT3H", periodOverride = "inherit", widgets = local.dashboard_widgets })
}
