variable "access_log_enabled" {
  type        = bool
  description = "Whether the stage writes one line per request to its own log group. If AWS refuses with `CloudWatch Logs role ARN must be set in account settings to enable logging`, apply `modules/account-logging` once in the account and Region."
  default     = false
  nullable    = false
}

variable "account_concurrency" {
  type        = number
  description = "Invocations at a time that Lambda serves for the whole account in this Region: 1,000 unless AWS has raised it, and 10 in some new accounts. The dashboard draws it as a line."
  default     = 1000
  nullable    = false
}

variable "account_requests_per_second" {
  type        = number
  description = "Requests per second that API Gateway serves for the whole account in this Region: 10,000, or 2,500 in some Regions, unless AWS has raised it. The sweeper takes a share of it, and the dashboard draws it as a line."
  default     = 2500
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

variable "alarms" {
  type = object({
    page_topic_arn   = string
    runbook_url      = optional(string)
    thresholds       = optional(map(number), {})
    ticket_topic_arn = optional(string)
  })
  description = "SNS topics that CloudWatch alarms notify: one for alarms that page the operator on call (`page_topic_arn`), and another for those that can wait until morning (`ticket_topic_arn`, without which the first gets both). Other thresholds than the defaults by alarm, like `{ delivery-late = 10000 }`; null leaves an alarm out. The address of the runbooks' folder, for the alarms' descriptions (`runbook_url`). An encrypted topic needs a key of your own whose policy lets `cloudwatch.amazonaws.com` use it. Null means no alarm. What is not an ARN must be known at plan."
  default     = null
}

variable "allow_replacement" {
  type        = set(string)
  description = "Names of variables that may change in this apply although that replaces what clients use, or leaves a key behind: `name`, `stage_name`, `table_name`, `table_kms_key_arn`. A plan refuses such a change otherwise. Leave it empty afterwards."
  default     = []
  nullable    = false
}

variable "architecture" {
  type        = string
  description = "Instruction set of the functions: `arm64` or `x86_64`. The zips are pure Python and run on both, but for the one that checks tokens, of which there is one for each."
  default     = "arm64"
  nullable    = false
}

variable "authorization_type" {
  type        = string
  description = "Authorization of the handshake: `NONE` accepts any client, `AWS_IAM` a URL signed by a principal with `execute-api:Invoke` on the stage, `JWT` a token with a signature of your identity provider, `CUSTOM` what your own Lambda authorizer allows."
  default     = "NONE"
  nullable    = false
}

variable "authorizer_function_arn" {
  type        = string
  description = "ARN of your own Lambda authorizer, or of a version or an alias of it, if `authorization_type` is `CUSTOM`."
  default     = null
}

variable "authorizer_memory_size" {
  type        = number
  description = "Deprecated, give `functions.authorizer.memory_size` instead. Memory of the function that checks tokens, in MB. It uses 35 MB, and a check takes a third of a millisecond of a whole CPU; a start takes 0.24 s of one, which is 0.8 s of waiting at 512 MB and 0.24 s at 1769."
  default     = 512
  nullable    = false
}

variable "authorizer_permission" {
  type        = bool
  description = "Whether this module allows the API to invoke your own authorizer. Set `false` for a function of another account, because only that account can change its policy; the output `authorizer_source_arn` is the source ARN of the permission."
  default     = true
  nullable    = false
}

variable "authorizer_reserved_concurrency" {
  type        = number
  description = "Deprecated, give `functions.authorizer.reserved_concurrency` instead. Invocations at a time that are reserved for the function that checks tokens, and its maximum, so that a flood of handshakes takes no more of the account's. Null means the account's shared pool."
  default     = null
}

variable "client_limits" {
  type = object({
    heartbeat = optional(number, 270)
    heal      = optional(number, 3)
    spread    = optional(number, 5)
  })
  description = "Times that clients of `roomcast.v1` are asked to keep, in seconds: between two pings (`heartbeat`, 30 to 480), and over which they spread their requests for missing messages (`heal`, 0.5 to 60) and their return after a lost connection (`spread`, 0 to 600). An account takes 500 handshakes a second: where more clients may lose their connections at once, the `spread` should be a second for every 500 of them."
  default     = {}
  nullable    = false
}

variable "code_revision" {
  type        = string
  description = "Any text; another one uploads the code of every function again. Needed where a warning says that a function runs other code than its zip's, as after an upload that AWS refused."
  default     = null
}

variable "dashboard_enabled" {
  type        = bool
  description = "Whether there is a CloudWatch dashboard, `<name>-<region>`: alarms, deliveries, delays, handshakes, queues, functions, and what the account's limits leave. Three dashboards in an account cost nothing, a further one 3 USD a month."
  default     = false
  nullable    = false
}

variable "default_endpoint_enabled" {
  type        = bool
  description = "Whether the API's own endpoint at `execute-api` answers. Without it clients reach the API through a custom domain alone, and so must the functions: give `management_endpoint`, on a stage with clients one apply before."
  default     = true
  nullable    = false
}

variable "detailed_metrics_enabled" {
  type        = bool
  description = "Whether CloudWatch also has API Gateway's metrics of each route, which cost as custom metrics."
  default     = false
  nullable    = false
}

variable "environment_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the functions' environment variables; the principal that applies needs `kms:CreateGrant`, `kms:Encrypt` and `kms:Decrypt` on it. Null means the account's AWS managed key `aws/lambda`."
  default     = null
}

variable "execution_logging_level" {
  type        = string
  description = "Execution logs of the stage: `OFF`, `ERROR` or `INFO`, never with the messages themselves. API Gateway creates their log group, which keeps them for ever. If AWS refuses with `CloudWatch Logs role ARN must be set in account settings to enable logging`, apply `modules/account-logging` once in the account and Region."
  default     = "OFF"
  nullable    = false
}

variable "existing_table" {
  type        = object({ arn = string })
  description = "Connections table of your own in place of one that this module makes, with the text keys `partition_key` and `sort_key`, and `expires_at` for TTL. The other variables of the table have no effect on it then. On a stage with clients the change is that of `table_name`, which a plan refuses. Whether there is one must be known at plan."
  default     = null
}

variable "function_defaults" {
  type = object({
    code_signing_config_arn = optional(string)
    ephemeral_storage_size  = optional(number, 512)
    layers                  = optional(list(string), [])
    log_format              = optional(string, "Text")
    role_path               = optional(string, "/")
    tracing_mode            = optional(string, "PassThrough")
    vpc = optional(object({
      subnet_ids         = set(string)
      security_group_ids = set(string)
      ipv6_allowed       = optional(bool, false)
    }))
  })
  description = "Settings of all functions: a code signing configuration, whose zips AWS Signer must have signed; MB for temporary files; layers, of which none may have another Region; whether Lambda's own log lines are `Text` or `JSON`; the path with which roles are created; X-Ray's mode, `PassThrough` or `Active`; subnets and security groups in a VPC, from which the functions must reach API Gateway, DynamoDB and, with a queue, SQS."
  default     = {}
  nullable    = false
}

variable "functions" {
  type = map(object({
    ephemeral_storage_size  = optional(number)
    layers                  = optional(list(string), [])
    memory_size             = optional(number)
    provisioned_concurrency = optional(number)
    reserved_concurrency    = optional(number)
    snap_start              = optional(bool, false)
    timeout                 = optional(number)
  }))
  description = "Settings of single functions by handler, like `{ sendmessage = { memory_size = 1769 } }`; what is null stays as the function's row or `function_defaults` has it. MB of memory and for temporary files, layers in place of the defaults', environments that Lambda keeps ready for the function's alias, invocations at a time that are reserved for the function, whether its versions begin from a snapshot (SnapStart), seconds. Which functions have a provisioned_concurrency must be known at plan."
  default     = {}
  nullable    = false
}

variable "handlers_bucket" {
  type        = string
  description = "Existing S3 bucket for the zips, in the Region of the functions, from which Lambda deploys them. Null uploads each zip to Lambda directly. The name must be known at plan."
  default     = null
}

variable "handlers_directory" {
  type        = string
  description = "Folder of the zips and their manifest. Null means those of the release, or, in a working tree, `build/handlers`, where `make build` writes them. Give a path relative to the root module, like `\"$${path.root}/handlers\"`: Lambda's `filename` is part of the state, so the absolute path of another machine changes every function."
  default     = null
}

variable "history_generation" {
  type        = number
  description = "Number of the life of all rooms' logs. Raise it after the history table was restored from a backup, and when a pattern matches rooms again that it matched before: positions that clients have are of the earlier life then. It never goes back."
  default     = 1
  nullable    = false
}

variable "history_retention_minutes" {
  type        = number
  description = "Minutes that a message is kept at least, in rooms of `history_rooms`. DynamoDB deletes it some hours later, or days."
  default     = 60
  nullable    = false
}

variable "history_rooms" {
  type        = list(string)
  description = "Patterns of the rooms that number their messages and keep them for clients that return: a room's name, a name with `*` after it, or `*` alone. Without any there is no table for them. A message to such a room takes two writes, or four with an `id`. Emptying the list takes two applies: the second removes the table with all messages."
  default     = []
  nullable    = false
}

variable "http2" {
  type        = bool
  description = "Whether messages to clients are sent over HTTP/2 where the management endpoint offers it, otherwise over HTTP/1.1."
  default     = true
  nullable    = false
}

variable "ip_address_type" {
  type        = string
  description = "Addresses of the API's own endpoint: `ipv4`, or `dualstack` for IPv4 and IPv6. Null leaves what the API has, which is `ipv4` for a new one."
  default     = null
}

variable "jwt_audience" {
  type        = list(string)
  description = "Audiences of which a token must name one."
  default     = []
  nullable    = false
}

variable "jwt_audience_claim" {
  type        = string
  description = "Name of the claim with the audience. The access tokens of Amazon Cognito have `client_id`."
  default     = "aud"
  nullable    = false
}

variable "jwt_default_rooms" {
  type        = list(string)
  description = "Patterns of rooms for tokens without the claim `jwt_rooms_claim`: a room, or the beginning of rooms and `*`. Null means no room."
  default     = null
}

variable "jwt_issuer" {
  type        = list(string)
  description = "Issuers of which a token must name one, each exactly as in the claim `iss`."
  default     = []
  nullable    = false
}

variable "jwt_jwks_url" {
  type        = string
  description = "URL of the identity provider's JSON Web Key Set, with keys for RS256 and ES256. Give either this or `jwt_secret_arn` with `authorization_type = \"JWT\"`."
  default     = null
}

variable "jwt_max_lifetime_seconds" {
  type        = number
  description = "Longest time from issue to expiry of a token, in seconds. Null means any."
  default     = null
}

variable "jwt_rooms_claim" {
  type        = string
  description = "Name of the claim with the rights in rooms: a list of patterns, or a map of patterns to rights."
  default     = "rooms"
  nullable    = false
}

variable "jwt_secret_arn" {
  type        = string
  description = "ARN of the secret in Secrets Manager, of at least 32 bytes, with which tokens are signed by HS256. The function that checks tokens gets permission to read it."
  default     = null
}

variable "jwt_stale_keys_minutes" {
  type        = number
  description = "Minutes that keys are used after their last reading while they cannot be read again. A withdrawn key stays in use for as long if an attacker can block the reading."
  default     = 60
  nullable    = false
}

variable "jwt_subject_claim" {
  type        = string
  description = "Name of the claim that says who the client is; every member of a room sees its value."
  default     = "sub"
  nullable    = false
}

variable "jwt_token_from" {
  type        = set(string)
  description = "Where a handshake may have its token: `header` is `Authorization: Bearer <token>`, `subprotocol` is `roomcast.bearer.<token>` in `Sec-WebSocket-Protocol`, beside which a client also offers `roomcast.text`, `query` is `?token=<token>`. With a single place API Gateway refuses a handshake without it by itself."
  default     = ["header", "subprotocol"]
  nullable    = false
}

variable "kick_enabled" {
  type        = bool
  description = "Whether there is a function that throws out a client, or one connection, for backends that invoke it. With identities, a handshake then writes one item more and checks another one. Turning it off takes two applies."
  default     = false
  nullable    = false
}

variable "kick_principals" {
  type        = set(string)
  description = "Who may kick besides principals of this account with a right of their own: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of this account, such as `events.amazonaws.com`."
  default     = []
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
  description = "Base URL of the `@connections` calls, in which `{api_id}` and `{stage_name}` are replaced. Null means the API's own endpoint. Set it if `default_endpoint_enabled` is false, or on an emulator."
  default     = null
}

variable "max_rooms_per_connection" {
  type        = number
  description = "Maximum of rooms that one connection of `roomcast.v1` is in at a time; another one is answered with `too_many_rooms`."
  default     = 20
  nullable    = false
}

variable "maximum_message_bytes" {
  type        = number
  description = "Maximum size of a message's data in bytes of UTF-8; a larger one is answered with `too_large`."
  default     = 131072
  nullable    = false
}

variable "maximum_room_members" {
  type        = number
  description = "Maximum of members of a room; the handshake of another client is refused with status 429. Null means no limit. Members who joined while there was none are counted when one is set. Those who connect during that apply, through a function that does not know the limit yet, are not counted, so a room may have as many more until they leave."
  default     = null
}

variable "messages_per_second" {
  type        = number
  description = "Maximum of messages per second of one connection; more are answered with `rate_limited`. Null means no limit."
  default     = null
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources. Two backends in one account need two names, which differ in more than upper and lower case."
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

variable "presence_max_members" {
  type        = number
  description = "Clients in a room of `presence_rooms` up to which members are told names. In a larger room they are told the number alone, every 30 seconds at most."
  default     = 500
  nullable    = false
}

variable "presence_rooms" {
  type        = list(string)
  description = "Patterns of the rooms that tell their members who comes and goes: a room's name, a name with `*` after it, or `*` alone. Without any there is no queue and no function for them. In a room of N clients with a change in each window, the members are sent N messages per window. Emptying the list takes two applies: the second removes queue and function."
  default     = []
  nullable    = false
}

variable "presence_window_seconds" {
  type        = number
  description = "Seconds from a change to its announcement, in rooms of `presence_rooms`. A room announces all changes of a window at once."
  default     = 5
  nullable    = false
}

variable "publish_enabled" {
  type        = bool
  description = "Whether there is a function that publishes messages to rooms and clients, for backends that invoke it. With identities, a handshake then writes one item more."
  default     = false
  nullable    = false
}

variable "publish_queue_enabled" {
  type        = bool
  description = "Whether that function has a queue, for backends and services that send without waiting for an answer. Turning it off takes two applies: the second removes the queue."
  default     = false
  nullable    = false
}

variable "published_handlers" {
  type = object({
    bucket = string
    prefix = optional(string, "roomcast")
    region = string
  })
  description = "Bucket that holds the zips already, as `make publish` prints it: its name, the prefix of the keys, and the Region, which must be that of the functions. The keys follow from the manifest, so that another release needs no other value. Excludes `handlers_bucket`. Must be known at plan."
  default     = null
}

variable "publisher_principals" {
  type        = set(string)
  description = "Who may publish besides principals of this account with a right of their own, by invoking the function and through the queue: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of this account, such as `sns.amazonaws.com`."
  default     = []
  nullable    = false
}

variable "queue_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the messages of queued delivery and of the presence queue; the functions have the right to use it already. Null means SQS's own key."
  default     = null
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
  description = "Whether messages pass through a queue to workers, so that no message is lost with a worker (`enabled`); whether the queue keeps the order per room (`fifo`); the maximum of messages per invocation (`batch_size`) and of workers at a time; a worker's memory in MB (`worker_memory_size`) and timeout in seconds (`worker_timeout`), both deprecated in favour of `functions.fanout_worker`. The messages of a failed worker are retried after six timeouts. Turning it off takes two applies: in the first, `sendmessage` delivers by itself and the workers empty the queue; the second removes queue and workers. Apply the second when no message is in the queue, not even in flight: those for members that do not read are so between two tries. Another value of `fifo` needs a new queue."
  default     = { enabled = false }
  nullable    = false
}

variable "redeployment_triggers" {
  type        = map(string)
  description = "Values of your own objects of the API, such as a route response. A change deploys the API again. This is needed only for deletions, because API Gateway deploys creations and updates."
  default     = {}
  nullable    = false
}

variable "saved_queries_enabled" {
  type        = bool
  description = "Whether the console of CloudWatch Logs Insights has the queries of `roomcast query`, in the folder `roomcast/<name>`. They cost nothing until one is run."
  default     = true
  nullable    = false
}

variable "sendmessage_memory_size" {
  type        = number
  description = "Deprecated, give `functions.sendmessage.memory_size` and `functions.publish.memory_size` instead. Memory of the functions that deliver messages, `sendmessage` and `publish`, in MB; its share of a CPU grows with it. A member waits no longer at 1024 than at 1769, one vCPU, in rooms of up to some 3,000 members: give larger ones 1769."
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

variable "sweeper" {
  type = object({
    enabled = optional(bool, false)
    sweep   = optional(bool, true)
    share   = optional(number, 0.05)
  })
  description = "Whether a function counts the connections every 5 minutes; whether it also deletes items of connections that do not exist; and the share of `account_requests_per_second` that it asks API Gateway with at most. Sweep for presence, for `who` and for numbers of rooms in which no client sends: other stages do not need it."
  default     = {}
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
