# Variables for how messages are delivered: rooms and their limits, pace, queue.

variable "client_limits" {
  type = object({
    heartbeat = optional(number, 270)
    heal      = optional(number, 3)
    spread    = optional(number, 5)
  })
  description = "Times that clients of `roomcast.v1` are asked to keep, in seconds: between two pings (`heartbeat`, 30 to 480), and over which they spread their requests for missing messages (`heal`, 0.5 to 60) and their return after a lost connection (`spread`, 0 to 600). An account takes 500 handshakes a second: where more clients may lose their connections at once, the `spread` should be a second for every 500 of them."
  default     = {}
  nullable    = false

  validation {
    condition     = var.client_limits.heartbeat >= 30 && var.client_limits.heartbeat <= 480
    error_message = "client_limits must have a heartbeat of 30 to 480 seconds, because API Gateway closes a connection that is idle for ten minutes."
  }

  validation {
    condition     = var.client_limits.heal >= 0.5 && var.client_limits.heal <= 60
    error_message = "client_limits must have a heal of 0.5 to 60 seconds."
  }

  validation {
    condition     = var.client_limits.spread >= 0 && var.client_limits.spread <= 600
    error_message = "client_limits must have a spread of 0 to 600 seconds."
  }
}

variable "http2" {
  type        = bool
  description = "Whether messages to clients are sent over HTTP/2 where the management endpoint offers it, otherwise over HTTP/1.1."
  default     = true
  nullable    = false
}

variable "max_rooms_per_connection" {
  type        = number
  description = "Maximum of rooms that one connection of `roomcast.v1` is in at a time; another one is answered with `too_many_rooms`."
  default     = 20
  nullable    = false

  validation {
    condition     = var.max_rooms_per_connection >= 1 && var.max_rooms_per_connection <= 40 && floor(var.max_rooms_per_connection) == var.max_rooms_per_connection
    error_message = "max_rooms_per_connection must be a whole number from 1 to 40, because one transaction deletes all memberships of a connection."
  }
}

variable "maximum_message_bytes" {
  type        = number
  description = "Maximum size of a message's data in bytes of UTF-8; a larger one is answered with `too_large`."
  default     = 131072
  nullable    = false

  validation {
    condition     = var.maximum_message_bytes >= 1 && var.maximum_message_bytes <= 131072 && floor(var.maximum_message_bytes) == var.maximum_message_bytes
    error_message = "maximum_message_bytes must be a whole number of bytes from 1 to 131072, API Gateway's own limit."
  }
}

variable "maximum_room_members" {
  type        = number
  description = "Maximum of members of a room; the handshake of another client is refused with status 429. Null means no limit. Members who joined while there was none are counted when one is set. Those who connect during that apply, through a function that does not know the limit yet, are not counted, so a room may have as many more until they leave."
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

variable "queue_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the messages of queued delivery and of the presence queue; the functions have the right to use it already. Null means SQS's own key."
  default     = null

  validation {
    condition     = var.queue_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.queue_kms_key_arn))
    error_message = "queue_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
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
  description = "Deprecated, give `functions.sendmessage.memory_size` and `functions.publish.memory_size` instead. Memory of the functions that deliver messages, `sendmessage` and `publish`, in MB; its share of a CPU grows with it. A member waits no longer at 1024 than at 1769, one vCPU, in rooms of up to some 3,000 members: give larger ones 1769."
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
