output "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.name
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "queue_arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.messages.arn
}

output "queue_name" {
  description = "Name of the queue."
  value       = aws_sqs_queue.messages.name
}

output "queue_url" {
  description = "URL of the queue, for senders."
  value       = aws_sqs_queue.messages.url
}
