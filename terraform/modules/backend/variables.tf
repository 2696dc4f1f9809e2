variable "access_log_enabled" {
  type        = bool
  description = "Whether the stage writes one line per request to its own log group. The account needs API Gateway's logging role in the Region."
  default     = false
  nullable    = false
}

variable "additional_routes" {
  type = map(object({
    function_name          = string
    invoke_arn             = string
    throttling_burst_limit = optional(number)
    throttling_rate_limit  = optional(number)
    timeout_milliseconds   = optional(number, 29000)
  }))
  description = "Your own routes by key, each served by your function. This module creates the permission to invoke it for exactly that route. With the `invoke_arn` of an alias or a version, the permission belongs to the alias or the version."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : route != null])
    error_message = "additional_routes must have no route that is null."
  }

  validation {
    condition     = alltrue([for key in keys(var.additional_routes) : !startswith(key, "$") && !contains(keys(local.routes), key)])
    error_message = "additional_routes must have keys that do not start with \"$\" and are not among the backend's own: ${join(", ", keys(local.routes))}."
  }

  # The key ends the ARN that the permission is for, where `*` and `?` match anything.
  validation {
    condition     = alltrue([for key in keys(var.additional_routes) : can(regex("^[A-Za-z0-9_./:@+=~-]{1,128}$", key))])
    error_message = "additional_routes must have keys of 1 to 128 letters, digits and the characters _ . / : @ + = ~ -, because the invoke permission's ARN ends with the key: a \"*\" or \"?\" would match other routes."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : can(regex("^[a-zA-Z0-9_-]{1,64}$", route.function_name)) if route != null])
    error_message = "additional_routes must each have a function_name that is the name of a Lambda function: 1 to 64 letters, digits, hyphens or underscores."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : can(regex("^arn:[a-z0-9-]+:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9_-]+)?/invocations$", route.invoke_arn)) if route != null])
    error_message = "additional_routes must each have an invoke_arn that is the invoke_arn of a Lambda function, or of a version or an alias of it other than $LATEST, like \"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations\"."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(regex(":function:([a-zA-Z0-9_-]+)", route.invoke_arn)[0] == route.function_name, true) if route != null])
    error_message = "additional_routes must each have the invoke_arn of the function that function_name names, because the permission is for that function."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(route.throttling_burst_limit >= 1 && route.throttling_burst_limit <= 2147483647 && floor(route.throttling_burst_limit) == route.throttling_burst_limit, route.throttling_burst_limit == null) if route != null])
    error_message = "additional_routes must each have a throttling_burst_limit that is null or a whole number of requests from 1 to 2147483647."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(route.throttling_rate_limit > 0, route.throttling_rate_limit == null) if route != null])
    error_message = "additional_routes must each have a throttling_rate_limit that is null or a number of requests per second above 0."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : route.timeout_milliseconds >= 50 && route.timeout_milliseconds <= 29000 && floor(route.timeout_milliseconds) == route.timeout_milliseconds if route != null])
    error_message = "additional_routes must each have a timeout_milliseconds that is a whole number from 50 to 29000."
  }
}

variable "allow_replacement" {
  type        = set(string)
  description = "Names of variables that may change in this apply although that replaces what clients use, or leaves a key behind: `name`, `stage_name`, `table_name`, `table_kms_key_arn`. A plan refuses such a change otherwise. Leave it empty afterwards."
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.allow_replacement, ["name", "stage_name", "table_kms_key_arn", "table_name"])) == 0
    error_message = "allow_replacement must be names of variables whose change can be refused: \"name\", \"stage_name\", \"table_kms_key_arn\" or \"table_name\"."
  }
}

variable "architecture" {
  type        = string
  description = "Instruction set of the functions: `arm64` or `x86_64`. The zips are pure Python and run on both, but for the one that checks tokens, of which there is one for each."
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be one of Lambda's instruction sets: \"arm64\" or \"x86_64\"."
  }
}

variable "code_revision" {
  type        = string
  description = "Any text; another one uploads the code of every function again. Needed where a warning says that a function runs other code than its zip's, as after an upload that AWS refused."
  default     = null

  validation {
    condition     = var.code_revision == null || can(regex("^[A-Za-z0-9._-]{1,64}$", var.code_revision))
    error_message = "code_revision must be null or 1 to 64 letters, digits, dots, underscores or hyphens."
  }
}

variable "environment_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the functions' environment variables; the principal that applies needs `kms:CreateGrant`, `kms:Encrypt` and `kms:Decrypt` on it. Null means the account's AWS managed key `aws/lambda`."
  default     = null

  validation {
    condition     = var.environment_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.environment_kms_key_arn))
    error_message = "environment_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "handler_sources_directory" {
  type        = string
  description = "Folder of the sources from which the zips must have been built. Null means `handlers` of the repository that holds this module."
  default     = null

  validation {
    condition     = var.handler_sources_directory == null || try(length(var.handler_sources_directory) >= 1, false)
    error_message = "handler_sources_directory must be null or the path of a folder."
  }
}

variable "handlers_bucket" {
  type        = string
  description = "Existing S3 bucket for the zips, from which Lambda deploys them. Null uploads each zip to Lambda directly. The name must be known at plan."
  default     = null

  validation {
    condition     = var.handlers_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.handlers_bucket))
    error_message = "handlers_bucket must be null or the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }
}

variable "handlers_directory" {
  type        = string
  description = "Folder of the zips and their manifest. Null means `build/handlers` of the repository that holds this module, where `make build` writes them. Give a path relative to the root module, like `\"$${path.root}/handlers\"`: Lambda's `filename` is part of the state, so the absolute path of another machine changes every function."
  default     = null

  validation {
    condition     = var.handlers_directory == null || try(length(var.handlers_directory) >= 1, false)
    error_message = "handlers_directory must be null or the path of a folder."
  }
}

variable "http2" {
  type        = bool
  description = "Whether messages to clients are sent over HTTP/2 where the management endpoint offers it, otherwise over HTTP/1.1."
  default     = true
  nullable    = false
}

variable "log_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the log groups; its key policy must allow CloudWatch Logs. Null means CloudWatch's own encryption."
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "log_level" {
  type        = string
  description = "Least severe level that the functions log: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be one of \"DEBUG\", \"INFO\", \"WARNING\" or \"ERROR\"."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that CloudWatch keeps the log lines."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "management_endpoint" {
  type        = string
  description = "Base URL of the `@connections` calls, in which `{api_id}` and `{stage_name}` are replaced. Null means the API's own endpoint. Set it behind a custom domain or on an emulator."
  default     = null

  validation {
    condition     = var.management_endpoint == null || can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/[.][.]?[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/[.]{3}[A-Za-z0-9._~-]*)*$", replace(replace(var.management_endpoint, "{api_id}", "a"), "{stage_name}", "s")))
    error_message = "management_endpoint must be null or an http or https URL, like \"https://ws.example.com/chat\": a host and a path of letters, digits, \".\", \"_\", \"~\" and \"-\", without query, trailing or double slash, \".\" or \"..\" as a part, and percent signs, all of which would be signed otherwise than they are sent. Its only placeholders are {api_id} and {stage_name}."
  }
}

variable "maximum_room_members" {
  type        = number
  description = "Maximum of members of a room; the handshake of another client is refused with status 429. Null means no limit."
  default     = null

  validation {
    condition     = var.maximum_room_members == null || try(var.maximum_room_members >= 1 && floor(var.maximum_room_members) == var.maximum_room_members, false)
    error_message = "maximum_room_members must be null or a whole number from 1."
  }
}

variable "messages_per_second" {
  type        = number
  description = "Maximum of messages per second of one connection; more are answered with `rate_limited`. Null means no limit."
  default     = null

  validation {
    condition     = var.messages_per_second == null || try(var.messages_per_second >= 0.001, false)
    error_message = "messages_per_second must be null or at least 0.001."
  }
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources. Two backends in one account need two names."
  default     = "roomcast"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,39}$", var.name))
    error_message = "name must be 2 to 40 letters, digits or hyphens, and start with a letter."
  }
}

variable "pace" {
  type        = number
  description = "Maximum messages per second that one invocation sends, because `@connections` calls count against the account's request quota. 0 means no limit."
  default     = 0
  nullable    = false

  validation {
    condition     = var.pace == 0 || var.pace >= 0.001
    error_message = "pace must be 0, which means no limit, or at least 0.001 messages per second."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds the functions' roles. Null means no boundary."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be null or the ARN of an IAM policy, like \"arn:aws:iam::111122223333:policy/boundary\"."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether the connections table can be restored to any second of the last 35 days."
  default     = true
  nullable    = false
}

variable "queued_delivery" {
  type = object({
    enabled             = bool
    batch_size          = optional(number, 10)
    fifo                = optional(bool, false)
    maximum_concurrency = optional(number, 10)
    worker_memory_size  = optional(number, 1769)
    worker_timeout      = optional(number, 30)
  })
  description = "Whether messages pass through a queue to workers, so that no message is lost with a worker (`enabled`); whether the queue keeps the order per room (`fifo`); the maximum of messages per invocation (`batch_size`) and of workers at a time; a worker's memory in MB and timeout in seconds. The messages of a failed worker are retried after six timeouts. Turning it off takes two applies: in the first, `sendmessage` delivers by itself and the workers empty the queue; the second removes queue and workers."
  default     = { enabled = false }
  nullable    = false

  validation {
    condition     = var.queued_delivery.batch_size >= 1 && var.queued_delivery.batch_size <= 10 && floor(var.queued_delivery.batch_size) == var.queued_delivery.batch_size
    error_message = "queued_delivery must have a batch_size that is a whole number of messages from 1 to 10."
  }

  validation {
    condition     = var.queued_delivery.maximum_concurrency >= 2 && var.queued_delivery.maximum_concurrency <= 1000 && floor(var.queued_delivery.maximum_concurrency) == var.queued_delivery.maximum_concurrency
    error_message = "queued_delivery must have a maximum_concurrency that is a whole number from 2 to 1000."
  }

  validation {
    condition     = var.queued_delivery.worker_memory_size >= 128 && var.queued_delivery.worker_memory_size <= 10240 && floor(var.queued_delivery.worker_memory_size) == var.queued_delivery.worker_memory_size
    error_message = "queued_delivery must have a worker_memory_size that is a whole number of MB from 128 to 10240."
  }

  validation {
    condition     = var.queued_delivery.worker_timeout >= 10 && var.queued_delivery.worker_timeout <= 900 && floor(var.queued_delivery.worker_timeout) == var.queued_delivery.worker_timeout
    error_message = "queued_delivery must have a worker_timeout that is a whole number of seconds from 10 to 900."
  }
}

variable "sendmessage_memory_size" {
  type        = number
  description = "Memory of the function that delivers messages, in MB; its share of a CPU grows with it. A member waits no longer at 1024 than at 1769, one vCPU, in rooms of up to some 3,000 members: give larger ones 1769."
  default     = 1024
  nullable    = false

  validation {
    condition     = var.sendmessage_memory_size >= 128 && var.sendmessage_memory_size <= 10240 && floor(var.sendmessage_memory_size) == var.sendmessage_memory_size
    error_message = "sendmessage_memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "shards_per_room" {
  type        = number
  description = "Number of partitions that hold a room's members. Each takes 500 joins and leaves per second: a transaction needs two of a partition's 1,000 write units for each. A plan refuses to change it together with `shards_read`: raise `shards_read` first."
  default     = 1
  nullable    = false

  validation {
    condition     = var.shards_per_room >= 1 && var.shards_per_room <= 100 && floor(var.shards_per_room) == var.shards_per_room
    error_message = "shards_per_room must be a whole number from 1 to 100."
  }
}

variable "shards_read" {
  type        = number
  description = "Number of a room's partitions in which senders look for members, at least `shards_per_room`. Null means `shards_per_room`. Raise it one apply before `shards_per_room`; lower it two hours after `shards_per_room`."
  default     = null

  validation {
    condition     = var.shards_read == null || try(var.shards_read >= 1 && var.shards_read <= 100 && floor(var.shards_read) == var.shards_read, false)
    error_message = "shards_read must be null or a whole number from 1 to 100."
  }
}

variable "stage_name" {
  type        = string
  description = "Name of the stage: the last part of the URL."
  default     = "live"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,128}$", var.stage_name))
    error_message = "stage_name must be 1 to 128 letters, digits, hyphens or underscores; a WebSocket API has no \"$default\" stage."
  }
}

variable "table_deletion_protection" {
  type        = bool
  description = "Whether DynamoDB refuses to delete the connections table. Turn it off in a separate apply before you destroy the table."
  default     = false
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the connections table; the functions get permission to use it. Null means the account's AWS managed key `aws/dynamodb`."
  default     = null

  validation {
    condition     = var.table_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.table_kms_key_arn))
    error_message = "table_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "table_name" {
  type        = string
  description = "Name of the connections table. Null means `<name>-connections`."
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must be null or a valid DynamoDB table name: 3 to 255 letters, digits, underscores, dots or hyphens."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources that support tags."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 50 tags whose keys do not start with \"aws:\", which AWS reserves."
  }

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && try(length(value) <= 256, false) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]+$", key)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", value))])
    error_message = "tags must have keys of 1 to 128 characters and values of at most 256, all of them letters, digits, spaces or one of _ . : / = + - @, and none null."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "tags must not have keys that differ only in upper and lower case, which IAM takes for the same."
  }
}

variable "throttling_burst_limit" {
  type        = number
  description = "Requests that a route accepts at once before its rate limit applies. The default fits every Region's quota."
  default     = 1000
  nullable    = false

  validation {
    condition     = var.throttling_burst_limit >= 1 && var.throttling_burst_limit <= 2147483647 && floor(var.throttling_burst_limit) == var.throttling_burst_limit
    error_message = "throttling_burst_limit must be a whole number of requests from 1 to 2147483647."
  }
}

variable "throttling_rate_limit" {
  type        = number
  description = "Requests per second that a route accepts. The default fits every Region's quota."
  default     = 2000
  nullable    = false

  validation {
    condition     = var.throttling_rate_limit > 0
    error_message = "throttling_rate_limit must be a number of requests per second above 0."
  }
}
