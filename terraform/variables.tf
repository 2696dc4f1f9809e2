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
}

variable "allow_replacement" {
  type        = set(string)
  description = "Names of variables that may change in this apply although that replaces what clients use, or leaves a key behind: `name`, `stage_name`, `table_name`, `table_kms_key_arn`. A plan refuses such a change otherwise. Leave it empty afterwards."
  default     = []
  nullable    = false
}

variable "architecture" {
  type        = string
  description = "Instruction set of the functions: `arm64` or `x86_64`. The zips are pure Python and run on both."
  default     = "arm64"
  nullable    = false
}

variable "authorization_type" {
  type        = string
  description = "Authorization of the handshake: `NONE` accepts any client, `AWS_IAM` a URL signed by a principal with `execute-api:Invoke` on the stage, `CUSTOM` what your own Lambda authorizer allows."
  default     = "NONE"
  nullable    = false
}

variable "authorizer_function_arn" {
  type        = string
  description = "ARN of your own Lambda authorizer, or of a version or an alias of it, if `authorization_type` is `CUSTOM`."
  default     = null
}

variable "authorizer_permission" {
  type        = bool
  description = "Whether this module allows the API to invoke your own authorizer. Set `false` for a function of another account, because only that account can change its policy; the output `authorizer_source_arn` is the source ARN of the permission."
  default     = true
  nullable    = false
}

variable "code_revision" {
  type        = string
  description = "Any text; another one uploads the code of every function again. Needed where a warning says that a function runs other code than its zip's, as after an upload that AWS refused."
  default     = null
}

variable "handlers_bucket" {
  type        = string
  description = "Existing S3 bucket for the zips, from which Lambda deploys them. Null uploads each zip to Lambda directly. The name must be known at plan."
  default     = null
}

variable "handlers_directory" {
  type        = string
  description = "Folder of the zips and their manifest. Null means `build/handlers` of the repository that holds this module, where `make build` writes them. Give a path relative to the root module, like `\"$${path.root}/handlers\"`: Lambda's `filename` is part of the state, so the absolute path of another machine changes every function."
  default     = null
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
}

variable "log_level" {
  type        = string
  description = "Least severe level that the functions log: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
  default     = "INFO"
  nullable    = false
}

variable "log_retention_days" {
  type        = number
  description = "Days that CloudWatch keeps the log lines."
  default     = 30
  nullable    = false
}

variable "management_endpoint" {
  type        = string
  description = "Base URL of the `@connections` calls, in which `{api_id}` and `{stage_name}` are replaced. Null means the API's own endpoint. Set it behind a custom domain or on an emulator."
  default     = null
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources. Two backends in one account need two names."
  default     = "roomcast"
  nullable    = false
}

variable "pace" {
  type        = number
  description = "Maximum messages per second that one invocation sends, because `@connections` calls count against the account's request quota. 0 means no limit."
  default     = 0
  nullable    = false
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds the functions' roles. Null means no boundary."
  default     = null
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
}

variable "redeployment_triggers" {
  type        = map(string)
  description = "Values of your own objects of the API, such as a route response. A change deploys the API again. This is needed only for deletions, because API Gateway deploys creations and updates."
  default     = {}
  nullable    = false
}

variable "sendmessage_memory_size" {
  type        = number
  description = "Memory of the function that delivers messages, in MB; its share of a CPU grows with it. A member waits no longer at 1024 than at 1769, one vCPU, in rooms of up to some 3,000 members: give larger ones 1769."
  default     = 1024
  nullable    = false
}

variable "shards_per_room" {
  type        = number
  description = "Number of partitions that hold a room's members. Each takes 500 joins and leaves per second: a transaction needs two of a partition's 1,000 write units for each. A plan refuses to change it together with `shards_read`: raise `shards_read` first."
  default     = 1
  nullable    = false
}

variable "shards_read" {
  type        = number
  description = "Number of a room's partitions in which senders look for members, at least `shards_per_room`. Null means `shards_per_room`. Raise it one apply before `shards_per_room`; lower it two hours after `shards_per_room`."
  default     = null
}

variable "stage_name" {
  type        = string
  description = "Name of the stage: the last part of the URL."
  default     = "live"
  nullable    = false
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
}

variable "table_name" {
  type        = string
  description = "Name of the connections table. Null means `<name>-connections`."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources that support tags."
  default     = {}
  nullable    = false
}

variable "throttling_burst_limit" {
  type        = number
  description = "Requests that a route accepts at once before its rate limit applies. The default fits every Region's quota."
  default     = 1000
  nullable    = false
}

variable "throttling_rate_limit" {
  type        = number
  description = "Requests per second that a route accepts. The default fits every Region's quota."
  default     = 2000
  nullable    = false
}
