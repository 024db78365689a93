"""`lorgnette finetune`: train, evaluate, export."""
