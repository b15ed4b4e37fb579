// Package chat makes messages for chat tools of events: Slack, Microsoft Teams
// and Discord. What a message says comes of a template, the default one of the
// kind of entity or one that was written for the type; the form around it, and
// what has to be escaped, are the tool's:
//
//   - Slack incoming webhooks: text and blocks; "&", "<" and ">" are escaped
//     (https://docs.slack.dev/messaging/formatting-message-text).
//   - Teams workflows, "when a webhook request is received": a message with an
//     Adaptive Card, whose text is Markdown
//     (https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format).
//   - Discord webhooks: content, which is Markdown, and an embed
//     (https://docs.discord.com/developers/resources/webhook#execute-webhook).
//
// What an event says never becomes markup, a mention or a line of its own. What
// a template says does: it is its writer's.
package chat
