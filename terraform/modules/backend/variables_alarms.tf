# Variables for what operators look at: alarms, the dashboard and saved queries.

variable "account_concurrency" {
  type        = number
  description = "Invocations at a time that Lambda serves for the whole account in this Region: 1,000 unless AWS has raised it, and 10 in some new accounts. The dashboard draws it as a line."
  default     = 1000
  nullable    = false

  validation {
    condition     = var.account_concurrency >= 1 && var.account_concurrency <= 1000000
    error_message = "account_concurrency must be 1 to 1000000 invocations at a time."
  }
}

variable "alarms" {
  type = object({
    page_topic_arn   = string
    runbook_url      = optional(string)
    thresholds       = optional(map(number), {})
    ticket_topic_arn = optional(string)
  })
  description = "SNS topics that CloudWatch alarms notify: one for alarms that page the operator on call (`page_topic_arn`), and another for those that can wait until morning (`ticket_topic_arn`, without which the first gets both). Other thresholds than the defaults by alarm, like `{ delivery-late = 10000 }`; null leaves an alarm out. The address of the runbooks' folder, for the alarms' descriptions (`runbook_url`). An encrypted topic needs a key of your own whose policy lets `cloudwatch.amazonaws.com` use it. Null means no alarm. What is not an ARN must be known at plan."
  default     = null

  validation {
    condition     = var.alarms == null || try(can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", var.alarms.page_topic_arn)) && (var.alarms.ticket_topic_arn == null || can(regex("^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", var.alarms.ticket_topic_arn))), false)
    error_message = "alarms must have topics that are ARNs of standard SNS topics, like \"arn:aws:sns:eu-central-1:111122223333:pages\"."
  }

  validation {
    condition     = var.alarms == null || try(var.alarms.runbook_url == null || can(regex("^https://[!-~]{0,255}[!-.0-~]$", var.alarms.runbook_url)), false)
    error_message = "alarms must have a runbook_url that is null or an address that begins with https:// and ends without a slash."
  }

  validation {
    condition     = var.alarms == null || alltrue([for name, threshold in try(var.alarms.thresholds, {}) : contains(["authorizer-unavailable", "census-missing", "dead-letters", "delivery-late", "execution-errors", "function-errors", "function-throttles", "handshakes-refused", "joins-failing", "posts-failed", "posts-refused", "posts-throttled", "queue-age", "stale-share", "unavailable"], name) && try(threshold >= 0, threshold == null)])
    error_message = "alarms must have thresholds by names of alarms, as the module's README lists them, each null or a number of at least 0."
  }
}

variable "dashboard_enabled" {
  type        = bool
  description = "Whether there is a CloudWatch dashboard, `<name>-<region>`: alarms, deliveries, delays, handshakes, queues, functions, and what the account's limits leave. Three dashboards in an account cost nothing, a further one 3 USD a month."
  default     = false
  nullable    = false
}

variable "saved_queries_enabled" {
  type        = bool
  description = "Whether the console of CloudWatch Logs Insights has the queries of `roomcast query`, in the folder `roomcast/<name>`. They cost nothing until one is run."
  default     = true
  nullable    = false
}
